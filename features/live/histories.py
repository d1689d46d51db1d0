"""The last interactions of every user: a ring of fixed length for each."""

import numpy as np

from features.catalogue import MISSING
from features.compiled import compiled
from features.history import History
from features.live.growing import grown

_LEAST_USERS = 16


class Histories:
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
        """Have a ring for every user of a code below `users`."""
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
        order = np.argsort(user, kind="stable")
        user, item, kind, time = user[order], item[order], kind[order], time[order]
        first = np.ones(len(user), np.bool_)
        np.not_equal(user[1:], user[:-1], out=first[1:])
        group = np.cumsum(first) - 1
        starts = np.flatnonzero(first)
        before = np.where(first, self._newest_time(user), np.roll(time, 1))
        late = np.zeros(len(starts), np.bool_)
        late[group[time < before]] = True
        in_order = np.flatnonzero(~late[group])
        self._append(user[in_order], item[in_order], kind[in_order], time[in_order])
        for place in np.flatnonzero(late[group]).tolist():
            self.add_one(int(user[place]), int(item[place]), int(kind[place]), int(time[place]))

    def _append(
        self, user: np.ndarray, item: np.ndarray, kind: np.ndarray, time: np.ndarray
    ) -> None:
        """Add interactions of users in ascending order, none older than the ring's last."""
        if not len(user):
            return
        starts = np.flatnonzero(np.append(True, user[1:] != user[:-1]))
        sizes = np.diff(np.append(starts, len(user)))
        rank = np.arange(len(user)) - np.repeat(starts, sizes)
        place = (self.newest[user] + 1 + rank) % self.k
        # Of more than a ring's length the last ones stay.
        kept = np.flatnonzero(rank >= np.repeat(sizes, sizes) - self.k)
        cells = user[kept], place[kept]
        self.item[cells], self.kind[cells], self.time[cells] = item[kept], kind[kept], time[kept]
        who = user[starts]
        self.newest[who] = (self.newest[who] + sizes) % self.k
        self.count[who] = np.minimum(self.count[who] + sizes, self.k)

    def add_one(self, user: int, item: int, kind: int, time: int) -> None:
        """Add one interaction in its place."""
        k, newest, count = self.k, int(self.newest[user]), int(self.count[user])
        times = self.time[user]
        later = 0
        while later < count and times[(newest - later) % k] > time:
            later += 1
        if later == k:
            return
        for step in range(later):
            source, target = (newest - step) % k, (newest - step + 1) % k
            self._move(user, source, target)
        place = (newest + 1 - later) % k
        self.item[user, place], self.kind[user, place] = item, kind
        times[place] = time
        self.newest[user] = (newest + 1) % k
        self.count[user] = min(count + 1, k)

    def _move(self, user: int, source: int, target: int) -> None:
        for array in (self.item, self.kind, self.time):
            array[user, target] = array[user, source]

    def _newest_time(self, user: np.ndarray) -> np.ndarray:
        times = self.time[user, self.newest[user]]
        return np.where(self.count[user] > 0, times, np.iinfo(np.int64).min)

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
        return History(*_unrolled(self.item, self.kind, self.time, self.newest, self.count, user))


@compiled
def _unrolled(
    items: np.ndarray,
    kinds: np.ndarray,
    times: np.ndarray,
    newest: np.ndarray,
    counts: np.ndarray,
    user: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    k = items.shape[1]
    item = np.full((1, k), np.int32(MISSING))
    kind = np.full((1, k), np.int16(MISSING))
    time = np.zeros((1, k), np.int64)
    if 0 <= user < len(counts):
        for back in range(counts[user]):
            place = (newest[user] - back) % k
            item[0, back] = items[user, place]
            kind[0, back] = kinds[user, place]
            time[0, back] = times[user, place]
    return item, kind, time
