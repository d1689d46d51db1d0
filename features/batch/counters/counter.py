"""Windowed counters: totals per key at a midnight, and their advance by a day's events.

A counter counts the events of one kind per key. Its windows end just before the instant asked for
and begin at `floor(instant - window, tile)`. The state holds, per key and window, the total over
the whole days before a midnight; an instant within the day then needs two corrections: events of
the day before the instant are added, and for windows that begin at an hour the events between the
window's first midnight and its first hour are taken off. Both are look-ups in one day's tile.
"""

from collections.abc import MutableMapping
from dataclasses import dataclass, field

import numpy as np

from features.arrays.clock import DAY, NO_TIME, tile_length
from features.arrays.compiled import compiled
from features.arrays.key_index import MISSING, KeyIndex, grown
from features.batch.counters.tiles import (
    EMPTY_TILE,
    NO_DAY_EVENTS,
    DayEvents,
    LateEvents,
    Tile,
)
from features.counter_spec import EVER, USER, CounterSpec

_NEVER = np.iinfo(np.int64).max
_ROOM = 4
"""Forgotten keys leave the arrays when they are more than one in so many."""


@dataclass
class Counter:
    """The state of one counter as of a midnight UTC.

    Attributes:
        spec: What is counted.
        day: Day number whose midnight this is; events of earlier days are in.
        codes: int64 [n_keys], keys with any event so far, in the order in which they came, with
            room for more behind them.
        totals: int64 [n_keys, n_windows].
        first: int64 [n_keys], time of the first event; `NO_TIME` for forgotten keys.
        last: int64 [n_keys], time of the last event.
        tiles: What became known on time on the days that a window still has to give up, by day
            number.
        late: The same of late events, by the day they happened.
    """

    spec: CounterSpec
    day: int
    codes: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    totals: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    first: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    last: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    tiles: MutableMapping[int, Tile] = field(default_factory=dict)
    late: dict[int, Tile] = field(default_factory=dict)
    _index: KeyIndex | None = field(default=None, compare=False, repr=False)
    _size: int = field(default=0, compare=False, repr=False)
    _oldest: int = field(default=NO_TIME, compare=False, repr=False)
    _scratch: np.ndarray = field(
        default_factory=lambda: np.zeros(0, np.int32), compare=False, repr=False
    )

    def __post_init__(self) -> None:
        if not len(self.codes):
            self.totals = np.zeros((0, len(self.spec.windows)), np.int64)
        self._size = len(self.codes)

    def find(self, codes: np.ndarray) -> np.ndarray:
        """Row of each key in the state, int64 [n]; -1 for keys without events."""
        return self._keys.find(codes)

    def place(self, codes: np.ndarray) -> np.ndarray:
        """Row of each key in the state, int64 [n]; keys without one get the next rows."""
        rows = self._keys.add(codes)
        if self._keys.rows_used > self._size:
            low, self._size = self._size, self._keys.rows_used
            self.codes = grown(self.codes, self._size, MISSING)
            self.totals = grown(self.totals, self._size, 0)
            self.first = grown(self.first, self._size, NO_TIME)
            self.last = grown(self.last, self._size, NO_TIME)
            new = np.flatnonzero(rows >= low)
            self.codes[rows[new]] = codes[new]
        return rows

    def number(self, codes: np.ndarray) -> np.ndarray:
        """Number keys in the order in which they first occur, int64 [n]; they are given rows."""
        rows = self.place(codes)
        return _numbered(rows, self.slots)

    @property
    def size(self) -> int:
        """Rows in use."""
        return self._size

    @property
    def slots(self) -> np.ndarray:
        """Scratch array of -1 per row, int32; callers reset what they mark."""
        self._scratch = grown(self._scratch, self._size, -1)
        return self._scratch

    @property
    def _keys(self) -> KeyIndex:
        if self._index is None:
            self._index = KeyIndex(self.codes[: self._size])
        return self._index

    def tidy(self) -> None:
        """Leave out forgotten keys."""
        kept = np.flatnonzero(self.first[: self._size] != NO_TIME)
        if len(kept) < self._size:
            self._keep_rows(kept)

    def sort(self) -> None:
        """Sort the keys, so that equal states have equal bytes."""
        self.tidy()
        self._keep_rows(np.argsort(self.codes[: self._size], kind="stable"))

    def _keep_rows(self, rows: np.ndarray) -> None:
        self.codes, self.totals = self.codes[rows], self.totals[rows]
        self.first, self.last = self.first[rows], self.last[rows]
        self._index, self._size = None, len(rows)

    def leaving(self, days: int) -> Tile:
        """Tile of the day on which the window of that length begins."""
        return self.tile_of(self.day - days)

    def tile_of(self, day: int) -> Tile:
        """Tile of a day's known events, on time and late, for subtraction."""
        tile = self.tiles.get(day, EMPTY_TILE)
        return tile.joined(self.late[day]) if day in self.late else tile

    def advance(self, arrivals: DayEvents, forget_days: int) -> None:
        """Fold the day's events in; the counter is then that of the next midnight.

        Args:
            arrivals: What became known on the day.
            forget_days: Keys of a user without an event in so many days are forgotten.
        """
        tile, late = arrivals.tile, arrivals.late
        if len(tile.codes):
            rows = self.place(tile.codes)
            fold_in(self.totals, rows, tile.running, tile.starts)
            self._widen(rows, tile)
            self._keep(tile)
        if late is not None:
            self._add_late(late)
        for column, days in enumerate(self.spec.windows):
            leaving = EMPTY_TILE if days == EVER else self.leaving(days)
            if len(leaving.codes):
                rows = self.find(leaving.codes)
                take_off(self.totals, column, rows, leaving.running, leaving.starts)
        self.day += 1
        self._forget(forget_days)

    def skip(self, day: int, forget_days: int) -> None:
        """Move on to a midnight over days without events.

        It takes a step for each day that a window may have to give up, and one for all others.

        Args:
            day: Day number of the midnight.
            forget_days: As of `advance`.
        """
        while self.day < day and (self.tiles or self.late):
            self.advance(NO_DAY_EVENTS, forget_days)
        self.day = day
        self._forget(forget_days)

    def _keep(self, tile: Tile) -> None:
        """Keep the day's tile for the windows that will leave it, no finer than they need."""
        finite = [days for days in self.spec.windows if days != EVER]
        if finite:
            self.tiles[self.day] = tile.by(tile_length(min(finite)))

    def _widen(self, rows: np.ndarray, tile: Tile) -> None:
        """Move the first and last times of the tile's keys."""
        first, last = tile.ends(self.day * DAY)
        widen(self.first, self.last, rows, first, last)
        self._oldest = min(self._oldest, int(last.min()))

    def _add_late(self, late: LateEvents) -> None:
        """Count late events in the windows that still have them, and in the tile of their day."""
        ever = late.windows[EVER]
        self._widen(self.place(ever.codes), ever)
        rows, event_day = self.find(late.codes), late.time // DAY
        for column, days in enumerate(self.spec.windows):
            inside = slice(None) if days == EVER else event_day >= self.day - days
            np.add.at(self.totals[:, column], rows[inside], late.values[inside])
        for day in np.unique(event_day[event_day >= self.day - max(self.spec.windows)]).tolist():
            of_day = event_day == day
            tile = Tile.of(late.codes[of_day], late.time[of_day] - day * DAY, late.values[of_day])
            self.late[day] = self.late.get(day, EMPTY_TILE).joined(tile)

    def _forget(self, forget_days: int) -> None:
        """Drop the tiles that have left every window, and a user's keys of long ago."""
        oldest = self.day - max(self.spec.windows)
        for tiles in (self.tiles, self.late):
            for day in [day for day in tiles if day < oldest]:
                del tiles[day]
        before = (self.day - forget_days) * DAY
        if USER not in self.spec.key or self._oldest >= before:
            return
        last = self.last[: self._size]
        gone, self._oldest = forget(self.totals, self.first[: self._size], last, before)
        if _ROOM * gone > self._size:
            self.tidy()


@compiled
def _numbered(rows: np.ndarray, slots: np.ndarray) -> np.ndarray:
    """Number rows in the order in which they first occur; `slots` is -1 per row."""
    numbers = np.empty(len(rows), np.int64)
    count = 0
    for n in range(len(rows)):
        if slots[rows[n]] < 0:
            slots[rows[n]] = count
            count += 1
        numbers[n] = slots[rows[n]]
    for row in rows:
        slots[row] = -1
    return numbers


@compiled
def fold_in(totals: np.ndarray, rows: np.ndarray, running: np.ndarray, starts: np.ndarray) -> None:
    """Add the total of each key of a tile to all windows.

    Args:
        totals: int64 [n_rows, n_windows].
        rows: int64 [n_keys], where the keys are.
        running: int64 [n_events + 1], running total of the tile's values.
        starts: int64 [n_keys + 1], where each key's events begin.
    """
    for key in range(len(rows)):
        total = running[starts[key + 1]] - running[starts[key]]
        for window in range(totals.shape[1]):
            totals[rows[key], window] += total


@compiled
def take_off(
    totals: np.ndarray, window: int, rows: np.ndarray, running: np.ndarray, starts: np.ndarray
) -> None:
    """Take the total of each key of a tile off one window; arguments as of `fold_in`.

    A key without a row, -1, was forgotten.
    """
    for key in range(len(rows)):
        if rows[key] >= 0:
            totals[rows[key], window] -= running[starts[key + 1]] - running[starts[key]]


@compiled
def widen(
    first: np.ndarray, last: np.ndarray, rows: np.ndarray, begin: np.ndarray, end: np.ndarray
) -> None:
    """Move the first and last times of some keys, int64 [n_rows], by those of a day's events."""
    for key in range(len(rows)):
        row = rows[key]
        if first[row] == NO_TIME or begin[key] < first[row]:
            first[row] = begin[key]
        last[row] = max(last[row], end[key])


@compiled
def forget(totals: np.ndarray, first: np.ndarray, last: np.ndarray, before: int) -> tuple[int, int]:
    """Empty the rows of keys whose last event is older than a moment.

    Args:
        totals: int64 [n_rows, n_windows].
        first: int64 [n_rows], UTC microseconds.
        last: int64 [n_rows].
        before: The moment.

    Returns:
        How many rows are empty, and the oldest last event of the others.
    """
    gone, oldest = 0, _NEVER
    for row in range(len(last)):
        if last[row] >= before:
            oldest = min(oldest, last[row])
            continue
        gone += 1
        if last[row] != NO_TIME:
            totals[row] = 0
            first[row] = last[row] = NO_TIME
    return gone, oldest
