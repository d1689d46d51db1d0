"""Robots: long sessions, far faster than people's, with clicks at random."""

import numpy as np

from recsys.datasets.simulation.choice import ChoiceProbabilities
from recsys.datasets.simulation.day import Actions, SlateOutcomes
from recsys.datasets.simulation.slates import CandidatePool, fill_slates
from recsys.datasets.simulation.visits import WEEKDAYS, Visits
from recsys.datasets.simulation.words.vocabulary import vocabulary
from recsys.datasets.simulation.world.catalogue import DAY_US, day_start_us
from recsys.datasets.simulation.world.settings import SimulationSettings

_STREAM = 6
SHORTEST_VISIT, LONGEST_VISIT = 60, 300
_GAP_S = (0.2, 3.0)
_CLICK_S = (0.05, 0.9)
_P_CLICK = 0.3
_ROBOTS_PER_USER = 0.1
# People's requests, visits and interactions are numbered from 0 on every day.
FIRST_NUMBER = 500_000_000


def robot_count(settings: SimulationSettings) -> int:
    """Give the number of robots."""
    if not settings.bots:
        return 0
    return max(1, round(settings.users * settings.bots * _ROBOTS_PER_USER))


def mean_robot_visits(settings: SimulationSettings, day: int) -> float:
    """Give the expected number of robots' sessions on a day."""
    people = settings.requests_per_day * WEEKDAYS[(settings.start.weekday() + day) % 7]
    requests = people * settings.bots / (1 - settings.bots)
    return float(requests / ((SHORTEST_VISIT + LONGEST_VISIT) / 2))


def robot_day(settings: SimulationSettings, pool: CandidatePool, day: int) -> SlateOutcomes:
    """Draw a day's requests and clicks of robots, perhaps none, from random numbers of their own.

    The day is that of the log, from 0; `user` counts robots.
    """
    rng = np.random.default_rng((settings.seed, _STREAM, day))
    robots = robot_count(settings)
    visits = _visits(settings, robots, day, rng)
    tastes = np.zeros((robots, len(vocabulary().families)), np.float32)
    nothing_seen = np.empty(0, np.int64)
    slate = fill_slates(pool, tastes, nothing_seen, visits, settings.slate_size, rng)
    never = np.zeros(slate.shape)
    choices = ChoiceProbabilities(
        utility=np.full(slate.shape, np.log(_P_CLICK / (1 - _P_CLICK))),
        examination=np.ones(slate.shape),
        p_click=np.full(slate.shape, _P_CLICK),
        p_cart=never,
        p_purchase=never,
    )
    clicked = rng.random(slate.shape) < _P_CLICK
    delays_us = (rng.uniform(*_CLICK_S, (3, *slate.shape)) * 1e6).astype(np.int64)
    nothing = never.astype(bool)
    actions = Actions(clicked, nothing, nothing, np.moveaxis(delays_us, 0, -1))
    return SlateOutcomes(visits, slate, choices, actions, len(pool.items))


def _visits(
    settings: SimulationSettings, robots: int, day: int, rng: np.random.Generator
) -> Visits:
    count = int(rng.poisson(mean_robot_visits(settings, day)))
    robot = rng.integers(max(robots, 1), size=count)
    requests = rng.integers(SHORTEST_VISIT, LONGEST_VISIT + 1, size=count)
    session = np.repeat(np.arange(count), requests)
    after_s = np.cumsum(rng.uniform(*_GAP_S, len(session)))
    first = np.cumsum(requests) - requests
    after_s -= after_s[first[session]]
    # A visit ends on the day it began on.
    latest_s = DAY_US / 1e6 - 1 - LONGEST_VISIT * _GAP_S[1]
    start_s = rng.uniform(0, latest_s, count)
    time_us = ((start_s[session] + after_s) * 1e6).astype(np.int64) + day_start_us(settings, day)
    order = np.lexsort((session, time_us))
    total = len(session)
    return Visits(
        number=FIRST_NUMBER + np.arange(total),
        user=robot[session[order]],
        guest=np.zeros(total, bool),
        session=FIRST_NUMBER + session[order],
        time_us=time_us[order],
        mobile=np.zeros(total, bool),
        query=np.full((total, 3), -1),
        query_draws=np.zeros((total, 8)),
        uniform=np.zeros(total, bool),
        day=day,
        robots=True,
    )
