"""Point-in-time histories: the last interactions of each user before a moment."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from features.arrays.clock import DAY
from features.arrays.compiled import compiled
from features.arrays.key_index import MISSING
from features.log.events import Events

_NONE = -1


@dataclass(frozen=True)
class History:
    """The last interactions of some users, laid end to end, each user's newest first.

    Attributes:
        starts: int64 [n + 1], where each user's interactions begin, and where the last ones end.
        item: int32 [m], code of the item.
        kind: int16 [m], place of the kind.
        time: int64 [m], UTC microseconds.
    """

    starts: np.ndarray
    item: np.ndarray
    kind: np.ndarray
    time: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """Interactions of each user, int64 [n]."""
        return np.diff(self.starts)

    def of(self, row: int) -> "History":
        """History of one row alone; parts of the same arrays."""
        low, high = self.starts[row : row + 2]
        return History(
            np.array([0, high - low]), self.item[low:high], self.kind[low:high], self.time[low:high]
        )

    def take(self, rows: np.ndarray) -> "History":
        """Histories of some rows, repeated as asked."""
        return self._from(self.starts[rows], self.lengths[rows])

    def values_of(self, values: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Values of the interactions, [m], as `take` lays the interactions of some rows out."""
        return values[_places(self.starts[rows], self.lengths[rows])]

    def newest(self, count: int) -> "History":
        """Keep the newest `count` interactions of each user."""
        if self.lengths.max(initial=0) <= count:
            return self
        return self._from(self.starts[:-1], np.minimum(self.lengths, count))

    def padded(self, values: np.ndarray, width: int, fill: int = MISSING) -> np.ndarray:
        """Lay values of the interactions out by user.

        Args:
            values: [m], such as `item`.
            width: Newest interactions of each user to give.
            fill: Stands beyond the end of a history.

        Returns:
            Of the values' type, [n, width].
        """
        # Place -1, the last one, is beyond the end of a history.
        return np.append(values, values.dtype.type(fill))[_columns(self.starts, width)]

    def _from(self, starts: np.ndarray, lengths: np.ndarray) -> "History":
        """Take a run of interactions for each row, int64 [n] where it begins and how long it is."""
        places = _places(starts, lengths)
        ends = np.append(0, np.cumsum(lengths))
        return History(ends, self.item[places], self.kind[places], self.time[places])

    def __len__(self) -> int:
        return len(self.starts) - 1


@compiled
def _columns(starts: np.ndarray, width: int) -> np.ndarray:
    """Places of each row's first interactions, int64 [n, width]; -1 beyond its end."""
    places = np.full((len(starts) - 1, width), -1, np.int64)
    for row in range(len(places)):
        for column in range(min(width, starts[row + 1] - starts[row])):
            places[row, column] = starts[row] + column
    return places


def _places(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Places of runs laid end to end, int64 [m]."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + lengths, lengths)


def last_interactions(
    events: Events, user: np.ndarray, time: np.ndarray, k: int, forget_days: int
) -> History:
    """Last `k` interactions of each user that were known before a moment.

    Newest is what happened last; of the same instant, what was known last. What happened more than
    `forget_days` before the moment's midnight is forgotten.

    Args:
        events: Interactions in the order in which they became known; guests' and those with
            unknown items are ignored.
        user: int32 [n], whose history is asked for; `MISSING` has none.
        time: int64 [n], UTC microseconds.
        k: Interactions to give at the most.
        forget_days: How long a history remembers.

    Returns:
        A history of each.
    """
    past = _Past(
        _plain(events.user, np.int32),
        _plain(events.item, np.int32),
        _plain(events.kind, np.int16),
        _plain(events.time, np.int64),
        _plain(events.known, np.int64),
    )
    asked = _Asked(
        _plain(user, np.int32),
        _plain(time, np.int64),
        (time // DAY - forget_days) * DAY,
        np.argsort(time, kind="stable"),
    )
    most = _known_before(past, asked, k)
    starts = np.append(0, np.cumsum(most))
    lengths, item, kind, moment = _walk_back(past, asked, starts)
    history = History(starts, item, kind, moment)
    # Shorter than what is known are those of which a part is forgotten.
    return history if (lengths == most).all() else history._from(starts[:-1], lengths)


class _Past(NamedTuple):
    """The arrays of `Events` that a history is made of."""

    user: np.ndarray
    item: np.ndarray
    kind: np.ndarray
    time: np.ndarray
    known: np.ndarray


class _Asked(NamedTuple):
    """Queries of histories: a user and a moment each.

    Attributes:
        user: int32 [n].
        time: int64 [n].
        first: int64 [n], what happened before it is forgotten.
        order: int64 [n], places of the queries by time.
    """

    user: np.ndarray
    time: np.ndarray
    first: np.ndarray
    order: np.ndarray


def _plain(values: np.ndarray, dtype: type[np.generic]) -> np.ndarray:
    """Writable contiguous array: the one type that the loops are compiled for."""
    return np.require(values, dtype, ["C", "W"])


@compiled
def _known_before(past: _Past, asked: _Asked, k: int) -> np.ndarray:
    """Count the events of each query's user that were known, int64 [n], `k` at the most."""
    known = np.zeros(_users(past), np.int64)
    most = np.zeros(len(asked.user), np.int64)
    event = 0
    for question in asked.order:
        while event < len(past.known) and past.known[event] < asked.time[question]:
            if past.user[event] >= 0 and past.item[event] >= 0:
                known[past.user[event]] += 1
            event += 1
        user = asked.user[question]
        if 0 <= user < len(known):
            most[question] = min(known[user], k)
    return most


@compiled
def _users(past: _Past) -> np.int64:
    """Give the number after the highest code of a user."""
    users = np.int64(0)
    for one in past.user:
        users = max(users, np.int64(one) + 1)
    return users


@compiled
def _walk_back(
    past: _Past, asked: _Asked, starts: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Chain each user's events up as they become known, newest first, and walk the chains.

    Args:
        past: The events.
        asked: The queries.
        starts: int64 [n + 1], where the answer to each may stand.

    Returns:
        The length of each answer, int64 [n], and items, kinds and times.
    """
    users = _users(past)
    newest = np.full(users, _NONE, np.int64)
    older = np.full(len(past.user), _NONE, np.int64)
    lengths = np.zeros(len(asked.user), np.int64)
    item = np.zeros(starts[-1], np.int32)
    kind = np.zeros(starts[-1], np.int16)
    moment = np.zeros(starts[-1], np.int64)
    event = 0
    for question in asked.order:
        while event < len(past.known) and past.known[event] < asked.time[question]:
            if past.user[event] >= 0 and past.item[event] >= 0:
                _chain(newest, older, past.time, past.user[event], event)
            event += 1
        user = asked.user[question]
        at = newest[user] if 0 <= user < users else _NONE
        place = starts[question]
        end = starts[question + 1]
        while place < end and at != _NONE and past.time[at] >= asked.first[question]:
            item[place], kind[place], moment[place] = past.item[at], past.kind[at], past.time[at]
            at = older[at]
            place += 1
        lengths[question] = place - starts[question]
    return lengths, item, kind, moment


@compiled
def _chain(newest: np.ndarray, older: np.ndarray, time: np.ndarray, user: int, event: int) -> None:
    """Put an event before those of its user that happened no later."""
    after, before = _NONE, newest[user]
    while before != _NONE and time[before] > time[event]:
        after, before = before, older[before]
    older[event] = before
    if after == _NONE:
        newest[user] = event
    else:
        older[after] = event
