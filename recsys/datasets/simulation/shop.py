"""The simulation of a shop day by day: requests, slates, actions, and the state they leave."""

from collections.abc import Iterator

import numpy as np

from recsys.datasets.simulation.choice import choice_probabilities
from recsys.datasets.simulation.day import SlateOutcomes, draw_actions
from recsys.datasets.simulation.robots import robot_day
from recsys.datasets.simulation.slates import candidate_pool, fill_slates
from recsys.datasets.simulation.state import ShopState, empty_state, pair_keys
from recsys.datasets.simulation.visits import make_visits
from recsys.datasets.simulation.world.arrays import between
from recsys.datasets.simulation.world.catalogue import (
    SimulatedCatalogue,
    day_start_us,
    make_catalogue,
)
from recsys.datasets.simulation.world.settings import SimulationSettings
from recsys.datasets.simulation.world.users import SimulatedUsers, make_users
from recsys.datasets.simulation.world.versions import ItemVersions, make_versions

_STREAM = 5
# A busy day is drawn in batches, so that memory does not grow with it.
BATCH_REQUESTS = 8192


class Shop:
    """A simulated shop."""

    def __init__(self, settings: SimulationSettings) -> None:
        self.settings = settings
        self.catalogue: SimulatedCatalogue = make_catalogue(settings)
        self.versions: ItemVersions = make_versions(settings, self.catalogue)
        self.users: SimulatedUsers = make_users(settings)
        self._state: ShopState = empty_state(len(self.catalogue.texts))

    def simulate_day(self, day: int) -> Iterator[tuple[SlateOutcomes, SlateOutcomes]]:
        """Simulate the next day, 0, then 1, and so on; the state changes after its last batch.

        A batch is requests of users in order of time, and those of robots in the same time.
        """
        settings, users, state = self.settings, self.users, self._state
        now_us = day_start_us(settings, day)
        deleted = self.versions.deleted_by(now_us)
        pool = candidate_pool(self.catalogue, deleted, state, settings.items, now_us)
        rng = np.random.default_rng((settings.seed, _STREAM, day))
        visits = make_visits(settings, users, day, rng)
        robots = robot_day(settings, pool, day)
        firsts = range(0, len(visits), BATCH_REQUESTS)
        later = visits.time_us[BATCH_REQUESTS::BATCH_REQUESTS]
        edges = [0, *np.searchsorted(robots.visits.time_us, later).tolist(), len(robots.visits)]
        clicked, bought = [], []
        for number, first in enumerate(firsts):
            if number:
                rng = np.random.default_rng((settings.seed, _STREAM, day, number))
            part = between(visits, first, first + BATCH_REQUESTS)
            slate = fill_slates(
                pool, users.families, state.clicked.keys, part, settings.slate_size, rng
            )
            choices = choice_probabilities(self.catalogue, users, state, part, slate)
            actions = draw_actions(choices, rng)
            keys = pair_keys(part.user[:, None], slate)
            clicked.append(keys[actions.clicked])
            bought.append(keys[actions.bought])
            people = SlateOutcomes(part, slate, choices, actions, len(pool.items))
            yield people, between(robots, edges[number], edges[number + 1])
        self._state = state.after(
            day, np.concatenate(clicked), np.concatenate(bought), settings.memory_days
        )
