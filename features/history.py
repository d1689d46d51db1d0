"""The last interactions of each user, as of any instant."""

from dataclasses import dataclass, field

import numpy as np

from features.catalogue import MISSING
from features.log import Events

_TIDY_ROWS = 100_000


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


def last_interactions(events: Events, user: np.ndarray, time: np.ndarray, k: int) -> History:
    """Give each user's last `k` interactions strictly before a moment.

    Args:
        events: Interactions in order of time; guests' and those with unknown items are passed by.
        user: int32 [n], whose history is asked for; `MISSING` has none.
        time: int64 [n], UTC microseconds.
        k: Interactions to give at the most.

    Returns:
        Histories, [n, k].
    """
    asked = np.isin(events.user, np.unique(user[user >= 0]))
    known = events.take(np.flatnonzero(asked & (events.item >= 0)))
    order = np.argsort(known.user, kind="stable")
    users, times = known.user[order], known.time[order]
    start = np.searchsorted(users, user)
    end = _before(users, times, user, time)
    places = end[:, None] - 1 - np.arange(k)
    inside = (places >= start[:, None]) & (user >= 0)[:, None]
    if not len(order):
        places, inside = np.zeros_like(places), np.zeros_like(inside)
        return History(
            np.full(places.shape, MISSING, np.int32),
            np.full(places.shape, MISSING, np.int16),
            places,
        )
    rows = order[np.where(inside, places, 0)]
    return History(
        np.where(inside, known.item[rows], MISSING).astype(np.int32),
        np.where(inside, known.kind[rows], MISSING).astype(np.int16),
        np.where(inside, known.time[rows], 0),
    )


def _before(users: np.ndarray, times: np.ndarray, user: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Give the place after the last event of each user before a moment, int64 [n].

    Events and questions are merged in one sort by user, then time, a question before an event of
    the same instant; the events before a question are then its place less the questions before it.
    """
    asked = len(user)
    all_users = np.concatenate([user, users])
    all_times = np.concatenate([time, times])
    is_event = np.concatenate([np.zeros(asked, np.int8), np.ones(len(users), np.int8)])
    order = np.lexsort((is_event, all_times, all_users))
    events_so_far = np.cumsum(is_event[order])
    end = np.empty(asked, np.int64)
    questions = order < asked
    end[order[questions]] = events_so_far[questions]
    return end


@dataclass
class Recent:
    """The last interactions of every user as of a midnight.

    Attributes:
        k: Interactions per user that must be kept; some more may be, until the next tidying.
        events: What is kept, in order of time.
    """

    k: int
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

    def with_day(self, day: Events) -> Events:
        """Give what is kept and the day's own events, in order of time."""
        kept = self.events
        return Events(
            np.concatenate([kept.time, day.time]),
            np.concatenate([kept.user, day.user]),
            np.concatenate([kept.item, day.item]),
            np.concatenate([kept.kind, day.kind]),
            np.concatenate([kept.session, day.session]),
            kept.kinds,
        )

    def advance(self, day: Events) -> None:
        """Fold the events of a day in."""
        self._order = self._users = None
        self.events = self.with_day(day.take(np.flatnonzero((day.user >= 0) & (day.item >= 0))))
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
