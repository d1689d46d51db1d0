"""The shop from day to day: what it shows, what users do, and what it remembers."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from recsys.datasets.simulation.choice import Choices, judge
from recsys.datasets.simulation.day import Actions, act
from recsys.datasets.simulation.memory import Memory, blank, pair_keys
from recsys.datasets.simulation.robots import RobotDay, robot_day
from recsys.datasets.simulation.slates import Shelf, fill_slates, stock_shelf
from recsys.datasets.simulation.visits import Visits, make_visits
from recsys.datasets.simulation.world.catalogue import (
    SimulatedCatalogue,
    day_start_us,
    make_catalogue,
)
from recsys.datasets.simulation.world.settings import SimulationSettings
from recsys.datasets.simulation.world.users import SimulatedUsers, make_users

_STREAM = 5
# A busy day is drawn in pieces, so that memory does not grow with it.
PIECE_REQUESTS = 8192


@dataclass(frozen=True)
class Piece:
    """Some requests of a day in order of time, before they become tables.

    Attributes:
        day: Day of the log, from 0.
        listed: How many items could be shown.
        visits: The requests of people.
        slate: int [n_requests, slate_size], items in shown order.
        choices: What the shown items mean to the users.
        actions: What the users did.
        robots: What robots did in the time of these requests.
    """

    day: int
    listed: int
    visits: Visits
    slate: np.ndarray
    choices: Choices
    actions: Actions
    robots: RobotDay


class Shop:
    """A simulated shop, which is lived through day by day.

    Args:
        settings: Size and seed.
    """

    def __init__(self, settings: SimulationSettings) -> None:
        self.settings = settings
        self.catalogue: SimulatedCatalogue = make_catalogue(settings)
        self.users: SimulatedUsers = make_users(settings)
        self._memory: Memory = blank(len(self.catalogue.texts))

    def live(self, day: int) -> Iterator[Piece]:
        """Live through the next day, piece by piece; the day is remembered after its last piece.

        Args:
            day: Day of the log: 0, then 1, and so on.

        Yields:
            The day's requests in order of time.
        """
        settings, start_us = self.settings, day_start_us(self.settings, day)
        shelf = stock_shelf(self.catalogue, self._memory, settings.items, start_us)
        rng = np.random.default_rng((settings.seed, _STREAM, day))
        visits = make_visits(settings, self.users, day, rng)
        robots = robot_day(settings, shelf, day)
        firsts = range(0, len(visits), PIECE_REQUESTS)
        later = visits.time_us[PIECE_REQUESTS::PIECE_REQUESTS]
        edges = [0, *np.searchsorted(robots.visits.time_us, later).tolist(), len(robots.visits)]
        clicked, bought = [], []
        for number, first in enumerate(firsts):
            if number:
                rng = np.random.default_rng((settings.seed, _STREAM, day, number))
            part = visits.between(first, first + PIECE_REQUESTS)
            crawl = robots.between(edges[number], edges[number + 1])
            piece = self._piece(day, shelf, part, crawl, rng)
            keys = pair_keys(part.user[:, None], piece.slate)
            clicked.append(keys[piece.actions.clicked])
            bought.append(keys[piece.actions.bought])
            yield piece
        self._memory = self._memory.after(
            day, np.concatenate(clicked), np.concatenate(bought), settings.memory_days
        )

    def _piece(
        self, day: int, shelf: Shelf, visits: Visits, robots: RobotDay, rng: np.random.Generator
    ) -> Piece:
        size = self.settings.slate_size
        slate = fill_slates(shelf, self.users, self._memory, visits, size, rng)
        choices = judge(self.catalogue, self.users, self._memory, visits, slate)
        actions = act(choices, rng)
        return Piece(day, shelf.listed, visits, slate, choices, actions, robots)
