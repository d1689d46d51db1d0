"""The last interactions of each user, as of any instant."""

from dataclasses import dataclass, field, replace

import numpy as np

from features.catalogue import MISSING
from features.clock import DAY
from features.log import EVENT_ARRAYS, Events

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
    asked = np.isin(events.user, np.unique(user[user >= 0]))
    taken = events.take(np.flatnonzero(asked & (events.item >= 0)))
    order = np.lexsort((taken.known, taken.time, taken.user))
    taken = taken.take(order)
    places = _newest_known(taken, user, time, k)
    first = (time // DAY - forget_days) * DAY
    if not len(taken):
        inside = np.zeros_like(places, np.bool_)
        taken = _ONE_EVENT
    else:
        inside = (places >= 0) & (taken.time[places] >= first[:, None]) & (user >= 0)[:, None]
    return History(
        np.where(inside, taken.item[places], MISSING).astype(np.int32),
        np.where(inside, taken.kind[places], MISSING).astype(np.int16),
        np.where(inside, taken.time[places], 0),
    )


_ONE_EVENT = Events.of([np.zeros(1, np.int64)] * len(EVENT_ARRAYS), ())
"""Something to point at where there is nothing."""


def _newest_known(taken: Events, user: np.ndarray, time: np.ndarray, k: int) -> np.ndarray:
    """Find the last `k` events known before each question.

    Args:
        taken: Events by user, then time, then when they were known.
        user: int32 [n].
        time: int64 [n].
        k: How many.

    Returns:
        Their places, newest first, int64 [n, k]; -1 for none.
    """
    bounds = np.searchsorted(taken.user, user)
    end = _before(taken.user, taken.known, user, time)
    places = end[:, None] - 1 - np.arange(k)
    places[places < bounds[:, None]] = -1
    same = taken.user[1:] == taken.user[:-1]
    disordered = np.unique(taken.user[1:][same & (taken.known[1:] < taken.known[:-1])])
    if len(disordered):
        rows = np.flatnonzero(np.isin(user, disordered))
        places[rows] = _search_back(taken, user[rows], time[rows], k)
    return places


def _search_back(taken: Events, user: np.ndarray, time: np.ndarray, k: int) -> np.ndarray:
    """Give the same for users some of whose events were known after later ones."""
    low = np.searchsorted(taken.user, user)
    size = np.searchsorted(taken.user, user, side="right") - low
    question = np.repeat(np.arange(len(user)), size)
    ends = np.cumsum(size)
    # Newest first: the places of each question's events, from the last one back.
    event = np.repeat(low + size - 1 + ends - size, size) - np.arange(len(question))
    visible = taken.known[event] < time[question]
    question, event = question[visible], event[visible]
    rank = np.arange(len(question)) - np.searchsorted(question, question)
    near = rank < k
    places = np.full((len(user), k), -1)
    places[question[near], rank[near]] = event[near]
    return places


def _before(users: np.ndarray, known: np.ndarray, user: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Give the place after the last event of each user known before a moment, int64 [n].

    Events and questions are merged in one sort by user, then moment, a question before an event of
    the same instant; the events before a question are then its place less the questions before it.
    """
    asked = len(user)
    all_users = np.concatenate([user, users])
    all_times = np.concatenate([time, known])
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

    def with_day(self, day: Events) -> Events:
        """Give what is kept and what became known on the day, in that order."""
        return Events.join([self.events, day])

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
