"""Windowed counters: totals per key as of a midnight, and what a day's own events add to them.

A counter counts the events of one kind per key. Its windows end just before the instant asked for
and begin at `floor(instant - window, tile)`. The state holds, per key and window, the total over
the whole days before a midnight; an instant within the day then needs two corrections: events of
the day before the instant are added, and for windows that begin at an hour the events between the
window's first midnight and its first hour are taken off. Both are look-ups in one day's tile.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from features.clock import DAY, NO_TIME

ITEM, USER = "item", "user"
"""Parts of keys; the others are names of item attributes."""

EVER = 0
"""The window without a beginning."""

PRICE_UNITS = 1_000_000
"""Log prices are summed as integers, in millionths: sums come out the same in any order."""

Measure = Literal["events", "log_price", "priced", "value"]
"""What is added up: events, their log(1 + price), those of items with a price, or their values."""


@dataclass(frozen=True)
class CounterSpec:
    """What a counter counts.

    Attributes:
        key: Parts of the key: `item`, `user`, or the name of an item attribute.
        kind: The kind of event.
        windows: Lengths in days, `EVER` for all time.
        measure: What is added up.
    """

    key: tuple[str, ...]
    kind: str
    windows: tuple[int, ...]
    measure: Measure = "events"

    @property
    def name(self) -> str:
        """Identifier in files."""
        of = "" if self.measure == "events" else f".{self.measure}"
        return f"{'_'.join(self.key)}.{self.kind}{of}"


@dataclass(frozen=True)
class Tile:
    """One day's events of a counter, by key and time.

    Attributes:
        codes: int64 [n_keys], the keys that had events, ascending.
        moments: int64 [n_events], rank of the key and microsecond of the day as one number,
            ascending.
        running: int64 [n_events + 1], running total of the values.
        starts: int64 [n_keys + 1], where each key's events begin.
    """

    codes: np.ndarray
    moments: np.ndarray
    running: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, codes: np.ndarray, time_of_day: np.ndarray, values: np.ndarray) -> "Tile":
        """Sort a day's events by key and time.

        Args:
            codes: int64 [n_events], the key of each event.
            time_of_day: int64 [n_events], microseconds since midnight UTC.
            values: int64 [n_events], what each event adds.

        Returns:
            The tile.
        """
        keys, rank = np.unique(codes, return_inverse=True)
        moments = rank * DAY + time_of_day
        order = np.argsort(moments, kind="stable")
        moments = moments[order]
        running = np.append(0, np.cumsum(values[order]))
        starts = np.searchsorted(moments, np.arange(len(keys) + 1) * DAY)
        return cls(keys, moments, running, starts)

    @property
    def totals(self) -> np.ndarray:
        """The day's total per key, int64 [n_keys]."""
        totals: np.ndarray = np.diff(self.running[self.starts])
        return totals

    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """Give the microsecond of the day of each key's first and last event, int64 [n_keys]."""
        first = self.moments[self.starts[:-1]] % DAY
        return first, self.moments[self.starts[1:] - 1] % DAY

    def before(self, codes: np.ndarray, time_of_day: np.ndarray) -> "Before":
        """Find, per question, the key's events of this day that lie before a time of the day.

        Args:
            codes: int64 [n], the key asked for; absent keys have no events.
            time_of_day: int64 [n], microseconds since midnight UTC, at most a day.

        Returns:
            Where these events begin and end.
        """
        if not len(self.codes):
            nothing = np.zeros(len(codes), np.int64)
            return Before(self, nothing, nothing)
        rank = np.searchsorted(self.codes, codes)
        rank[rank == len(self.codes)] = 0
        start = self.starts[rank]
        end = np.searchsorted(self.moments, rank * DAY + time_of_day)
        return Before(self, start, np.where(self.codes[rank] == codes, end, start))


@dataclass(frozen=True)
class Before:
    """Runs of events of a tile, one run a question.

    Attributes:
        tile: The tile.
        start: int64 [n], first event of the run.
        end: int64 [n], the event after its last one.
    """

    tile: Tile
    start: np.ndarray
    end: np.ndarray

    def total(self) -> np.ndarray:
        """Sum the values of each run, int64 [n]."""
        total: np.ndarray = self.tile.running[self.end] - self.tile.running[self.start]
        return total

    def last(self, midnight: int) -> np.ndarray:
        """Give the time of each run's last event, int64 [n]; `NO_TIME` for an empty run."""
        return self._moment(self.end - 1, midnight)

    def first(self, midnight: int) -> np.ndarray:
        """Give the time of each run's first event, int64 [n]; `NO_TIME` for an empty run."""
        return self._moment(self.start, midnight)

    def _moment(self, place: np.ndarray, midnight: int) -> np.ndarray:
        if not len(self.tile.moments):
            return np.full(len(place), NO_TIME)
        moment = self.tile.moments[np.clip(place, 0, len(self.tile.moments) - 1)]
        return np.where(self.end > self.start, midnight + moment % DAY, NO_TIME)


EMPTY_TILE = Tile.of(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))


@dataclass
class Counter:
    """The state of one counter as of a midnight UTC.

    Attributes:
        spec: What is counted.
        day: Day number whose midnight this is; events of earlier days are in.
        codes: int64 [n_keys], keys with any event so far, ascending.
        totals: int64 [n_keys, n_windows].
        first: int64 [n_keys], time of the first event.
        last: int64 [n_keys], time of the last event.
        tiles: The days that a window still has to give up, by day number.
    """

    spec: CounterSpec
    day: int
    codes: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    totals: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    first: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    last: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    tiles: dict[int, Tile] = field(default_factory=dict)
    _rows_of: np.ndarray | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not len(self.codes):
            self.totals = np.zeros((0, len(self.spec.windows)), np.int64)

    def find(self, codes: np.ndarray) -> np.ndarray:
        """Give the row of each key in the state, int64 [n]; -1 for keys without events."""
        if not len(self.codes):
            return np.full(len(codes), -1)
        if (table := self._table()) is not None:
            rows: np.ndarray = table[np.minimum(codes, len(table) - 1)]
            return rows
        rows = np.minimum(np.searchsorted(self.codes, codes), len(self.codes) - 1)
        return np.where(self.codes[rows] == codes, rows, -1)

    def _table(self) -> np.ndarray | None:
        """Give the row of each code of a key of one part; -1 stands last, where `MISSING` looks."""
        if self._rows_of is None and len(self.spec.key) == 1:
            self._rows_of = np.full(int(self.codes[-1]) + 2, -1)
            self._rows_of[self.codes] = np.arange(len(self.codes))
        return self._rows_of

    def leaving(self, days: int) -> Tile:
        """Give the tile of the day on which the window of that length begins."""
        return self.tiles.get(self.day - days, EMPTY_TILE)

    def advance(self, tile: Tile) -> None:
        """Fold the events of the day in, and go on to the next midnight."""
        if len(tile.codes):
            self._make_room(tile.codes)
            rows = self.find(tile.codes)
            self.totals[rows] += tile.totals[:, None]
            first, last = tile.ends()
            midnight = self.day * DAY
            known = self.first[rows] != NO_TIME
            self.first[rows] = np.where(known, self.first[rows], midnight + first)
            self.last[rows] = midnight + last
            self.tiles[self.day] = tile
        for column, days in enumerate(self.spec.windows):
            leaving = EMPTY_TILE if days == EVER else self.leaving(days)
            if len(leaving.codes):
                self.totals[self.find(leaving.codes), column] -= leaving.totals
        self.day += 1
        self._forget()

    def _make_room(self, codes: np.ndarray) -> None:
        new = codes[self.find(codes) < 0]
        if not len(new):
            return
        self._rows_of = None
        places = np.searchsorted(self.codes, new)
        self.codes = np.insert(self.codes, places, new)
        self.totals = np.insert(self.totals, places, 0, axis=0)
        self.first = np.insert(self.first, places, NO_TIME)
        self.last = np.insert(self.last, places, NO_TIME)

    def _forget(self) -> None:
        oldest = self.day - max(self.spec.windows)
        for day in [day for day in self.tiles if day < oldest]:
            del self.tiles[day]
