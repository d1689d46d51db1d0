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
    """The last interactions of some users, newest first.

    Attributes:
        item: int32 [n, k], place of the item; `MISSING` beyond the end of the history.
        kind: int16 [n, k], place of the kind; `MISSING` beyond the end.
        time: int64 [n, k], UTC microseconds; 0 beyond the end.
    """

    item: np.ndarray
    kind: np.ndarray
    time: np.ndarray

    def take(self, rows: np.ndarray) -> "History":
        """Histories of some rows, repeated as asked."""
        return History(self.item[rows], self.kind[rows], self.time[rows])

    def newest(self, count: int) -> "History":
        """Keep the newest `count` interactions of each user."""
        return History(self.item[:, :count], self.kind[:, :count], self.time[:, :count])


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
        Histories, [n, k].
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
    return History(*_walk_back(past, asked, k))


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
def _walk_back(past: _Past, asked: _Asked, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Chain each user's events up as they become known, newest first, and walk the chains.

    Args:
        past: The events.
        asked: The queries.
        k: Interactions to give at the most.

    Returns:
        The arrays of a history.
    """
    users = np.int64(0)
    for one in past.user:
        users = max(users, np.int64(one) + 1)
    newest = np.full(users, _NONE, np.int64)
    older = np.full(len(past.user), _NONE, np.int64)
    item = np.full((len(asked.user), k), np.int32(MISSING), np.int32)
    kind = np.full((len(asked.user), k), np.int16(MISSING), np.int16)
    moment = np.zeros((len(asked.user), k), np.int64)
    event = 0
    for question in asked.order:
        while event < len(past.known) and past.known[event] < asked.time[question]:
            if past.user[event] >= 0 and past.item[event] >= 0:
                _chain(newest, older, past.time, past.user[event], event)
            event += 1
        user = asked.user[question]
        at = newest[user] if 0 <= user < users else _NONE
        column = 0
        while column < k and at != _NONE and past.time[at] >= asked.first[question]:
            item[question, column] = past.item[at]
            kind[question, column] = past.kind[at]
            moment[question, column] = past.time[at]
            at = older[at]
            column += 1
    return item, kind, moment


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
