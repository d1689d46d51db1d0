"""The online executor's histories: the last interactions of every user, end to end in one arena."""

from dataclasses import dataclass

import numpy as np

from features.arrays.compiled import compiled
from features.arrays.key_index import grown
from features.log.history import History

_LEAST_USERS = 16

ROOM, NEWEST, COUNT = range(3)
"""Columns of `rings`: places of a user's ring, the place of its last interaction, and how many."""

Arena = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Items, kinds, times, starts, rings, and the end of what is taken, as the loops take them."""


@dataclass(frozen=True)
class PackedHistories:
    """Histories of all users, laid end to end, each in order of time.

    Attributes:
        count: int32 [n_users], interactions of each.
        item: int32 [n], places in the catalogue.
        kind: int16 [n], places in the kinds.
        time: int64 [n], UTC microseconds.
    """

    count: np.ndarray
    item: np.ndarray
    kind: np.ndarray
    time: np.ndarray


class OnlineHistory:
    """The last `k` interactions of every user, by the user's code.

    A user has a ring of places in the arena, twice as many whenever they are full, up to `k`; what
    it leaves behind is free once the arena is laid anew. So memory is in proportion to what is
    remembered, whatever `k`. A ring is in order of time, and of arrival at equal times. An
    interaction that arrives late is put in its place; one older than a full ring is not kept.

    Args:
        k: Interactions kept per user.
    """

    def __init__(self, k: int) -> None:
        self.k = k
        self._item = np.zeros(k, np.int32)
        self._kind = np.zeros(k, np.int16)
        self._time = np.zeros(k, np.int64)
        self._start = np.zeros(_LEAST_USERS, np.int64)
        self._rings = np.zeros((_LEAST_USERS, 3), np.int32)
        self._taken = np.zeros(1, np.int64)

    @property
    def count(self) -> np.ndarray:
        """Interactions of each user, int32 [n_users or more]."""
        return self._rings[:, COUNT]

    @property
    def bytes_used(self) -> int:
        """Memory of the arena and of what points into it, in bytes."""
        return sum(array.nbytes for array in self._arena)

    def last_times(self) -> np.ndarray:
        """Time of each user's last interaction, int64 [n_users or more]; 0 without one."""
        place = np.where(self.count > 0, self._start + self._rings[:, NEWEST], 0)
        return np.where(self.count > 0, self._time[place], 0)

    def make_room(self, users: int) -> None:
        """Have a place in the arena for every code below `users`."""
        self._start, self._rings = grown(self._start, users, 0), grown(self._rings, users, 0)

    def add(self, user: np.ndarray, item: np.ndarray, kind: np.ndarray, time: np.ndarray) -> None:
        """Add interactions.

        Args:
            user: int32 [n], in the order in which they became known.
            item: int32 [n].
            kind: int16 [n].
            time: int64 [n].
        """
        done = 0
        while (done := _add(self._arena, self.k, done, user, item, kind, time)) < len(user):
            self._lay_anew()

    def add_one(self, user: int, item: int, kind: int, time: int) -> None:
        """Add one interaction in its place."""
        if not _add_one(self._arena, self.k, user, item, kind, time):
            self._lay_anew()
            _add_one(self._arena, self.k, user, item, kind, time)

    def forget(self, before: int) -> None:
        """Drop what happened before an instant, int UTC microseconds."""
        _forget(self._arena, before)
        if 3 * int(_rooms(self.count, self.k).sum()) + 2 * self.k < len(self._time):
            self._lay_anew()

    def of_user(self, user: int) -> History:
        """Give one user's history, newest first; empty for a guest or an unknown user."""
        item, kind, time = _unrolled(self._arena, user)
        return History(np.array([0, len(item)]), item, kind, time)

    def packed(self, users: int) -> PackedHistories:
        """Lay the histories of the first `users` codes end to end."""
        self.make_room(users)
        count = self.count[:users].copy()
        return PackedHistories(count, *_moved(self._arena, np.cumsum(count) - count, count.sum()))

    @classmethod
    def of_packed(cls, k: int, packed: PackedHistories) -> "OnlineHistory":
        """Histories from what `packed` gave."""
        history = cls(k)
        users, count = len(packed.count), packed.count
        history.make_room(users)
        history._start[:users] = np.cumsum(count) - count
        history._rings[:users] = np.column_stack([count, np.maximum(count - 1, 0), count])
        history._item, history._kind, history._time = packed.item, packed.kind, packed.time
        history._lay_anew()
        return history

    def _lay_anew(self) -> None:
        """Give each ring the places it needs, end to end, and have half as many again free.

        A ring takes at most twice the places of what was added to it, so that the free ones last
        for interactions in proportion to those copied: adding is O(1) amortised.
        """
        rooms = _rooms(self.count, self.k)
        ends = np.cumsum(rooms)
        start, taken = ends - rooms, int(ends[-1])
        moved = _moved(self._arena, start, taken + taken // 2 + 2 * self.k)
        self._item, self._kind, self._time = moved
        self._start, self._taken[0] = start, taken
        self._rings[:, ROOM] = rooms
        self._rings[:, NEWEST] = np.maximum(self.count - 1, 0)

    @property
    def _arena(self) -> Arena:
        return self._item, self._kind, self._time, self._start, self._rings, self._taken


def _rooms(count: np.ndarray, k: int) -> np.ndarray:
    """Places for so many interactions, int64 [n]: the next power of two, `k` at the most."""
    _, exponent = np.frexp(np.maximum(count - 1, 0))
    return np.where(count > 0, np.minimum(np.int64(1) << exponent.astype(np.int64), k), 0)


@compiled
def _add(
    arena: Arena,
    k: int,
    done: int,
    user: np.ndarray,
    item: np.ndarray,
    kind: np.ndarray,
    time: np.ndarray,
) -> int:
    """Add interactions from the place `done` on; gives the first that found no room."""
    for place in range(done, len(user)):
        if not _add_one(arena, k, user[place], item[place], kind[place], time[place]):
            return place
    return len(user)


@compiled
def _add_one(arena: Arena, k: int, user: int, item: int, kind: int, time: int) -> bool:
    """Put an interaction into its place, the later ones move on; False when there is no room."""
    items, kinds, times, starts, rings, taken = arena
    room, newest, count = rings[user]
    start = starts[user]
    if count == room and room < k:
        wider = np.int64(min(max(2 * room, 1), k))
        if taken[0] + wider > len(times):
            return False
        target = taken[0]
        for place in range(count):
            source = start + (newest + 1 + place) % room
            items[target + place] = items[source]
            kinds[target + place] = kinds[source]
            times[target + place] = times[source]
        taken[0] += wider
        starts[user], start, room, newest = target, target, np.int32(wider), np.int32(count - 1)
        rings[user, ROOM] = room
    later = 0
    while later < count and times[start + (newest - later) % room] > time:
        later += 1
    if later < room:
        for step in range(later):
            source, target = start + (newest - step) % room, start + (newest - step + 1) % room
            items[target], kinds[target], times[target] = (
                items[source],
                kinds[source],
                times[source],
            )
        place = start + (newest + 1 - later) % room
        items[place], kinds[place], times[place] = item, kind, time
        rings[user, NEWEST] = (newest + 1) % room
        rings[user, COUNT] = min(count + 1, room)
    return True


@compiled
def _forget(arena: Arena, before: int) -> None:
    """Shorten each ring from its oldest end."""
    _, _, times, starts, rings, _ = arena
    for user in range(len(starts)):
        room, newest, count = rings[user]
        while count > 0 and times[starts[user] + (newest - count + 1) % room] < before:
            count -= 1
        rings[user, COUNT] = count


@compiled
def _moved(
    arena: Arena, targets: np.ndarray, length: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Copy each ring, its oldest first, to a place of a new arena; gives its arrays."""
    items, kinds, times, starts, rings, _ = arena
    item, kind = np.zeros(length, np.int32), np.zeros(length, np.int16)
    time = np.zeros(length, np.int64)
    for user in range(len(targets)):
        room, newest, count = rings[user]
        for place in range(count):
            source = starts[user] + (newest - count + 1 + place) % room
            item[targets[user] + place] = items[source]
            kind[targets[user] + place] = kinds[source]
            time[targets[user] + place] = times[source]
    return item, kind, time


@compiled
def _unrolled(arena: Arena, user: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Copy one user's ring, its newest first."""
    items, kinds, times, starts, rings, _ = arena
    count = rings[user, COUNT] if 0 <= user < len(rings) else np.int32(0)
    item, kind = np.empty(count, np.int32), np.empty(count, np.int16)
    time = np.empty(count, np.int64)
    for back in range(count):
        place = starts[user] + (rings[user, NEWEST] - back) % rings[user, ROOM]
        item[back], kind[back], time[back] = items[place], kinds[place], times[place]
    return item, kind, time
