"""The last interactions of each user, as of any instant."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from features.catalogue import MISSING
from features.clock import DAY
from features.compiled import compiled
from features.log import Events

_TIDY_ROWS = 100_000
_NONE = -1


@dataclass(frozen=True)
class History:
    """The last interactions of some users; the newest stands first.

    Attributes:
        item: int32 [n, k], place of the item; `MISSING` beyond the end of the history.
        kind: int16 [n, k], place of the kind; `MISSING` beyond the end.
        time: int64 [n, k], UTC microseconds; 0 beyond the end.
    """

    item: np.ndarray
    kind: np.ndarray
    time: np.ndarray

    def take(self, rows: np.ndarray) -> "History":
        """Give the histories of some rows, repeated as asked."""
        return History(self.item[rows], self.kind[rows], self.time[rows])

    def newest(self, count: int) -> "History":
        """Keep the newest `count` interactions of each user."""
        return History(self.item[:, :count], self.kind[:, :count], self.time[:, :count])


def last_interactions(
    events: Events, user: np.ndarray, time: np.ndarray, k: int, forget_days: int
) -> History:
    """Give each user's last `k` interactions that were known before a moment.

    Newest is what happened last; of the same instant, what was known last. What happened more than
    `forget_days` before the moment's midnight is forgotten.

    Args:
        events: Interactions in the order in which they became known; guests' and those with
            unknown items are passed by.
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
    """Whose histories, as of when.

    Attributes:
        user: int32 [n].
        time: int64 [n].
        first: int64 [n], what happened before it is forgotten.
        order: int64 [n], places of the questions by time.
    """

    user: np.ndarray
    time: np.ndarray
    first: np.ndarray
    order: np.ndarray


def _plain(values: np.ndarray, dtype: type[np.generic]) -> np.ndarray:
    """Give an array that may be written to: the one kind that loops are compiled for."""
    return np.require(values, dtype, ["C", "W"])


@compiled
def _walk_back(past: _Past, asked: _Asked, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Chain each user's events up as they become known, newest first, and walk the chains.

    Args:
        past: The events.
        asked: The questions.
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


@dataclass
class Recent:
    """The last interactions of every user as of a midnight.

    Attributes:
        k: Interactions per user that must be kept; some more may be, until the next tidying.
        forget_days: How long an interaction is remembered.
        events: What is kept, by time, and equal ones by when they were known. All are known by
            the midnight, so `known` is the time.
    """

    k: int
    forget_days: int
    events: Events
    _tidy_at: int = _TIDY_ROWS
    _order: np.ndarray | None = field(default=None, compare=False)
    _users: np.ndarray | None = field(default=None, compare=False)

    def of_user(self, user: int) -> History:
        """Give one user's history as of the midnight, [1, k]; guests have none."""
        if self._order is None or self._users is None:
            self._order = np.argsort(self.events.user, kind="stable")
            self._users = self.events.user[self._order]
        # A bound of the array's own type: any other would have the whole array converted first.
        bounds = np.array((user, user + 1), self._users.dtype)
        low, high = np.searchsorted(self._users, bounds) if user >= 0 else (0, 0)
        rows = self._order[low:high][::-1][: self.k]
        history = History(
            np.full((1, self.k), MISSING, np.int32),
            np.full((1, self.k), MISSING, np.int16),
            np.zeros((1, self.k), np.int64),
        )
        history.item[0, : len(rows)] = self.events.item[rows]
        history.kind[0, : len(rows)] = self.events.kind[rows]
        history.time[0, : len(rows)] = self.events.time[rows]
        return history

    def advance(self, day: Events, midnight: int) -> None:
        """Fold in what became known on a day, up to the midnight after it."""
        self._order = self._users = None
        new = day.take(np.flatnonzero((day.user >= 0) & (day.item >= 0)))
        both = Events.join([self.events, new])
        if (new.time != new.known).any():
            both = both.take(np.lexsort((both.known, both.time)))
        oldest = np.searchsorted(both.time, midnight - self.forget_days * DAY)
        both = both.take(slice(int(oldest), None))
        self.events = replace(both, known=both.time)
        if len(self.events) > self._tidy_at:
            self.tidy()

    def tidy(self) -> None:
        """Forget what is no longer among the last `k` of its user."""
        order = np.argsort(self.events.user, kind="stable")
        self._order = self._users = None
        users = self.events.user[order]
        ends = np.searchsorted(users, users, side="right")
        keep = np.sort(order[ends - np.arange(len(users)) <= self.k])
        self.events = self.events.take(keep)
        self._tidy_at = max(2 * len(keep), _TIDY_ROWS)
