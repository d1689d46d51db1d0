"""The online executor's histories: a ring of the last interactions of every user."""

import numpy as np

from features.arrays.compiled import compiled
from features.arrays.key_index import MISSING, grown
from features.log.history import History

_LEAST_USERS = 16

Rings = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""The arrays of `OnlineHistory` in order, as the loops take them."""


class OnlineHistory:
    """Rings of the last `k` interactions, by the user's code.

    A ring is in order of time, and of arrival at equal times; `newest` is the place of its last
    one. An interaction that arrives late is put in its place; one older than a full ring is not
    kept.

    Args:
        k: Interactions kept per user.

    Attributes:
        item: int32 [n_users, k], places in the catalogue.
        kind: int16 [n_users, k], places in the kinds.
        time: int64 [n_users, k], UTC microseconds.
        newest: int32 [n_users].
        count: int32 [n_users], interactions in the ring.
    """

    def __init__(self, k: int) -> None:
        self.k = k
        self.item = np.zeros((_LEAST_USERS, k), np.int32)
        self.kind = np.zeros((_LEAST_USERS, k), np.int16)
        self.time = np.zeros((_LEAST_USERS, k), np.int64)
        self.newest = np.zeros(_LEAST_USERS, np.int32)
        self.count = np.zeros(_LEAST_USERS, np.int32)

    def make_room(self, users: int) -> None:
        """Allocate a ring for every code below `users`."""
        self.item, self.kind = grown(self.item, users, 0), grown(self.kind, users, 0)
        self.time = grown(self.time, users, 0)
        self.newest, self.count = grown(self.newest, users, 0), grown(self.count, users, 0)

    def add(self, user: np.ndarray, item: np.ndarray, kind: np.ndarray, time: np.ndarray) -> None:
        """Add interactions.

        Args:
            user: int32 [n], in the order in which they became known.
            item: int32 [n].
            kind: int16 [n].
            time: int64 [n].
        """
        _add(self._rings, user, item, kind, time)

    def add_one(self, user: int, item: int, kind: int, time: int) -> None:
        """Add one interaction in its place."""
        _add_one(self._rings, user, item, kind, time)

    def forget(self, before: int) -> None:
        """Drop what happened before an instant, int UTC microseconds."""
        place = (self.newest - self.count + 1) % self.k
        users = np.arange(len(self.count))
        while len(users):
            oldest = self.time[users, place[users]]
            users = users[(self.count[users] > 0) & (oldest < before)]
            self.count[users] -= 1
            place[users] = (place[users] + 1) % self.k

    def of_user(self, user: int) -> History:
        """Give one user's history, newest first, [1, k]; empty for a guest or an unknown user."""
        return History(*_unrolled(self._rings, user))

    @property
    def _rings(self) -> Rings:
        return self.item, self.kind, self.time, self.newest, self.count


@compiled
def _add(
    rings: Rings, user: np.ndarray, item: np.ndarray, kind: np.ndarray, time: np.ndarray
) -> None:
    for place in range(len(user)):
        _add_one(rings, user[place], item[place], kind[place], time[place])


@compiled
def _add_one(rings: Rings, user: int, item: int, kind: int, time: int) -> None:
    """Put an interaction into its place; the later ones move on."""
    all_items, all_kinds, all_times, all_newest, used = rings
    k = all_times.shape[1]
    items, kinds, times = all_items[user], all_kinds[user], all_times[user]
    newest, count = all_newest[user], used[user]
    later = 0
    while later < count and times[(newest - later) % k] > time:
        later += 1
    if later == k:
        return
    for step in range(later):
        source, target = (newest - step) % k, (newest - step + 1) % k
        items[target], kinds[target], times[target] = items[source], kinds[source], times[source]
    place = (newest + 1 - later) % k
    items[place], kinds[place], times[place] = item, kind, time
    all_newest[user] = (newest + 1) % k
    used[user] = min(count + 1, k)


@compiled
def _unrolled(rings: Rings, user: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    items, kinds, times, newest, used = rings
    k = items.shape[1]
    item = np.full((1, k), np.int32(MISSING))
    kind = np.full((1, k), np.int16(MISSING))
    time = np.zeros((1, k), np.int64)
    if 0 <= user < len(used):
        for back in range(used[user]):
            place = (newest[user] - back) % k
            item[0, back] = items[user, place]
            kind[0, back] = kinds[user, place]
            time[0, back] = times[user, place]
    return item, kind, time
