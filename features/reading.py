"""Answers from one counter for some rows: the state at midnight, corrected by the day's events."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from features.clock import DAY, HOUR, HOURLY_WINDOW_DAYS, NO_TIME
from features.counters import EVER, Before, Counter, Tile


@dataclass
class Reading:
    """Reads one counter for some rows, as of each row's time on the state's day.

    Attributes:
        counter: The state as of the day's midnight.
        today: The day's own events.
        codes: int64 [n], key of each row.
        time: int64 [n], UTC microseconds within the day.
    """

    counter: Counter
    today: Tile
    codes: np.ndarray
    time: np.ndarray

    def __post_init__(self) -> None:
        self._rows = self.counter.find(self.codes)
        absent = self._rows < 0
        self._absent = absent if absent.any() else None

    def total(self, days: int) -> np.ndarray:
        """Give the total of a window of the counter, int64 [n]."""
        total = self._totals[:, self.counter.spec.windows.index(days)]
        if len(self.today.codes):
            total = total + self._before.total()
        if days != EVER and days <= HOURLY_WINDOW_DAYS and self._hour.any():
            total = total - self.counter.leaving(days).before(self.codes, self._hour).total()
        return total

    @cached_property
    def _totals(self) -> np.ndarray:
        """The totals of all windows at midnight, int64 [n, n_windows]."""
        return self._known(self.counter.totals, 0)

    @cached_property
    def _before(self) -> Before:
        """The key's events of the day before each row's time."""
        return self.today.before(self.codes, self.time - self.counter.day * DAY)

    @cached_property
    def _hour(self) -> np.ndarray:
        """When each row's hour began, in microseconds of the day."""
        return (self.time - self.counter.day * DAY) // HOUR * HOUR

    def last(self) -> np.ndarray:
        """Give the time of the last event, int64 [n]; `NO_TIME` where there is none."""
        known = self._known(self.counter.last, NO_TIME)
        if not len(self.today.codes):
            return known
        return np.maximum(self._before.last(self.counter.day * DAY), known)

    def first(self) -> np.ndarray:
        """Give the time of the first event, int64 [n]; `NO_TIME` where there is none."""
        known = self._known(self.counter.first, NO_TIME)
        if not len(self.today.codes):
            return known
        return np.where(known == NO_TIME, self._before.first(self.counter.day * DAY), known)

    def _known(self, values: np.ndarray, absent: int) -> np.ndarray:
        """Look the keys up in an array of the state, int64 [n, ...]."""
        if not len(values):
            return np.full((len(self.codes), *values.shape[1:]), absent, np.int64)
        found: np.ndarray = values[self._rows]
        if self._absent is not None:
            found[self._absent] = absent
        return found
