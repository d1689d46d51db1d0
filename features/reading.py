"""Answers from one counter for some rows: the state at midnight, and what the day made known."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from features.clock import DAY, HOUR, HOURLY_WINDOW_DAYS, NO_TIME
from features.counters import EVER, Counter
from features.tiles import Arrivals, Asked, Before


@dataclass
class Reading:
    """Reads one counter for some rows, as of each row's time on the state's day.

    Attributes:
        counter: The state as of the day's midnight.
        today: What became known on the day.
        asked: The keys of the n rows.
        time: int64 [n], UTC microseconds within the day.
    """

    counter: Counter
    today: Arrivals
    asked: Asked
    time: np.ndarray

    def __post_init__(self) -> None:
        self._rows = self.counter.find(self.asked.keys)
        absent = self._rows < 0
        self._absent = absent if absent.any() else None

    def total(self, days: int) -> np.ndarray:
        """Give the total of a window of the counter, int64 [n]."""
        total = self._known(self.counter.totals[:, self.counter.spec.windows.index(days)], 0)
        self._before.add_total(total)
        if self.today.late is not None:
            late = self.today.late.windows[days]
            late.before(self.asked, self._of_day).add_total(total)
        if days != EVER and days <= HOURLY_WINDOW_DAYS and self._hour.any():
            self.counter.leaving(days).before(self.asked, self._hour).add_total(total, -1)
        return total

    @cached_property
    def _of_day(self) -> np.ndarray:
        """Each row's time, in microseconds of the day."""
        return self.time - self.counter.day * DAY

    @cached_property
    def _hour(self) -> np.ndarray:
        """When each row's hour began, in microseconds of the day."""
        return self._of_day // HOUR * HOUR

    @cached_property
    def _before(self) -> Before:
        """The key's events on time of the day that were known before each row's time."""
        return self.today.tile.before(self.asked, self._of_day)

    @cached_property
    def _late(self) -> Before | None:
        """The key's late events that became known on the day, before each row's time."""
        late = self.today.late
        return None if late is None else late.windows[EVER].before(self.asked, self._of_day)

    def last(self) -> np.ndarray:
        """Give the time of the last event, int64 [n]; `NO_TIME` where there is none."""
        last = self._known(self.counter.last, NO_TIME)
        for before in self._today:
            last = np.maximum(last, before.last(self.counter.day * DAY))
        return last

    def first(self) -> np.ndarray:
        """Give the time of the first event, int64 [n]; `NO_TIME` where there is none."""
        first = self._known(self.counter.first, NO_TIME)
        for before in self._today:
            other = before.first(self.counter.day * DAY)
            earlier = (other != NO_TIME) & ((first == NO_TIME) | (other < first))
            first = np.where(earlier, other, first)
        return first

    @property
    def _today(self) -> list[Before]:
        """The day's events before each row's time: those on time, and late ones if any."""
        both = [self._before] if len(self.today.tile.codes) else []
        return both if self._late is None else [*both, self._late]

    def _known(self, values: np.ndarray, absent: int) -> np.ndarray:
        """Look the keys up in an array of the state, int64 [n], free to be changed."""
        if not len(values):
            return np.full(len(self.asked.key_of), absent, np.int64)
        found: np.ndarray = values[self._rows]
        if self._absent is not None:
            found[self._absent] = absent
        return found[self.asked.key_of]
