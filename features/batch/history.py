"""The batch executor's histories: the last interactions of every user at a midnight."""

from dataclasses import dataclass, replace

import numpy as np

from features.arrays.clock import DAY
from features.log.events import Events

_TIDY_ROWS = 100_000


@dataclass
class RecentHistory:
    """The batch executor's histories: the last interactions of every user at a midnight.

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

    def advance(self, day: Events, midnight: int) -> None:
        """Fold in what became known on a day, up to the midnight after it."""
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
        """Drop interactions that are no longer among the last `k` of their user."""
        order = np.argsort(self.events.user, kind="stable")
        users = self.events.user[order]
        ends = np.searchsorted(users, users, side="right")
        keep = np.sort(order[ends - np.arange(len(users)) <= self.k])
        self.events = self.events.take(keep)
        self._tidy_at = max(2 * len(keep), _TIDY_ROWS)
