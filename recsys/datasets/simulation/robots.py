"""Robots: they walk through the catalogue far faster than people, and click without taste."""

from dataclasses import dataclass

import numpy as np

from recsys.datasets.simulation.choice import Choices
from recsys.datasets.simulation.day import Actions
from recsys.datasets.simulation.memory import blank
from recsys.datasets.simulation.slates import Shelf, fill_slates
from recsys.datasets.simulation.visits import WEEKDAYS, Visits
from recsys.datasets.simulation.words.vocabulary import vocabulary
from recsys.datasets.simulation.world.catalogue import DAY_US, day_start_us
from recsys.datasets.simulation.world.settings import SimulationSettings
from recsys.datasets.simulation.world.users import BEFORE_THE_LOG, SimulatedUsers

_STREAM = 6
SHORTEST_VISIT, LONGEST_VISIT = 60, 300
_GAP_S = (0.2, 3.0)
_CLICK_S = (0.05, 0.9)
_P_CLICK = 0.3
_ROBOTS_PER_USER = 0.1
# People's requests, visits and interactions are numbered from 0 on every day.
FIRST_NUMBER = 500_000_000


@dataclass(frozen=True)
class RobotDay:
    """What robots do on one day; requests in order of time.

    Attributes:
        visits: The requests; `user` counts robots.
        slate: int [n_requests, slate_size], items in shown order.
        choices: What they mean to the robots: nothing.
        actions: What they clicked.
    """

    visits: Visits
    slate: np.ndarray
    choices: Choices
    actions: Actions

    def between(self, first: int, end: int) -> "RobotDay":
        """Give a run of the requests."""
        choices, actions = self.choices, self.actions
        return RobotDay(
            self.visits.between(first, end),
            self.slate[first:end],
            Choices(
                choices.utility[first:end],
                choices.examination[first:end],
                choices.p_click[first:end],
                choices.p_cart[first:end],
                choices.p_purchase[first:end],
            ),
            Actions(
                actions.clicked[first:end],
                actions.carted[first:end],
                actions.bought[first:end],
                actions.delays_us[:, first:end],
            ),
        )


def robot_count(settings: SimulationSettings) -> int:
    """Tell how many robots there are."""
    if not settings.bots:
        return 0
    return max(1, round(settings.users * settings.bots * _ROBOTS_PER_USER))


def mean_robot_visits(settings: SimulationSettings, day: int) -> float:
    """Give how many visits robots are expected to make on a day."""
    people = settings.requests_per_day * WEEKDAYS[(settings.start.weekday() + day) % 7]
    requests = people * settings.bots / (1 - settings.bots)
    return float(requests / ((SHORTEST_VISIT + LONGEST_VISIT) / 2))


def robot_day(settings: SimulationSettings, shelf: Shelf, day: int) -> RobotDay:
    """Draw what robots do on a day, from random numbers of their own.

    Args:
        settings: Of the shop.
        shelf: What can be shown.
        day: Day of the log, from 0.

    Returns:
        Their requests, perhaps none.
    """
    rng = np.random.default_rng((settings.seed, _STREAM, day))
    robots = robot_count(settings)
    visits = _visits(settings, robots, day, rng)
    nothing_seen = blank(len(shelf.catalogue.family))
    slate = (
        fill_slates(shelf, _tasteless(robots), nothing_seen, visits, settings.slate_size, rng)
        if len(visits)
        else np.zeros((0, settings.slate_size), np.int64)
    )
    never = np.zeros(slate.shape)
    choices = Choices(
        utility=np.full(slate.shape, np.log(_P_CLICK / (1 - _P_CLICK))),
        examination=np.ones(slate.shape),
        p_click=np.full(slate.shape, _P_CLICK),
        p_cart=never,
        p_purchase=never,
    )
    clicked = rng.random(slate.shape) < _P_CLICK
    delays_us = (rng.uniform(*_CLICK_S, (3, *slate.shape)) * 1e6).astype(np.int64)
    return RobotDay(
        visits, slate, choices, Actions(clicked, never.astype(bool), never.astype(bool), delays_us)
    )


def _visits(
    settings: SimulationSettings, robots: int, day: int, rng: np.random.Generator
) -> Visits:
    count = int(rng.poisson(mean_robot_visits(settings, day)))
    robot = rng.integers(max(robots, 1), size=count)
    requests = rng.integers(SHORTEST_VISIT, LONGEST_VISIT + 1, size=count)
    session = np.repeat(np.arange(count), requests)
    after_s = np.cumsum(rng.uniform(*_GAP_S, len(session)))
    first = np.cumsum(requests) - requests
    after_s -= after_s[first[session]] if count else 0
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
        robots=True,
    )


def _tasteless(robots: int) -> SimulatedUsers:
    number, words = np.zeros(robots, np.float32), vocabulary()
    return SimulatedUsers(
        families=np.zeros((robots, len(words.families)), np.float32),
        styles=np.zeros((robots, len(words.styles)), np.float32),
        occasions=np.zeros((robots, len(words.occasions)), np.float32),
        brands=np.zeros((robots, 3), np.int16),
        price_level=number,
        price_sensitivity=number,
        novelty=number,
        activity=number,
        on_mobile=number,
        joined_day=np.full(robots, BEFORE_THE_LOG, np.int32),
    )
