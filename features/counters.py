"""Windowed counters: totals per key as of a midnight, and how a day's arrivals change them.

A counter counts the events of one kind per key. Its windows end just before the instant asked for
and begin at `floor(instant - window, tile)`. The state holds, per key and window, the total over
the whole days before a midnight; an instant within the day then needs two corrections: events of
the day before the instant are added, and for windows that begin at an hour the events between the
window's first midnight and its first hour are taken off. Both are look-ups in one day's tile.
"""

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from features.catalogue import MISSING
from features.clock import DAY, HOUR, HOURLY_WINDOW_DAYS, NO_TIME, window_end
from features.key_index import KeyIndex, grown
from features.tiles import EMPTY_TILE, Arrivals, LateEvents, Tile

ITEM, USER = "item", "user"
"""Parts of keys; the others are names of item attributes."""

EVER = 0
"""The window without a beginning."""

UNITS = 1_000_000
"""Log prices and values are summed as integers, in millionths: the same sum in any order."""

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


def sort_arrivals(
    spec: CounterSpec,
    day: int,
    codes: np.ndarray,
    known: np.ndarray,
    time: np.ndarray,
    values: np.ndarray,
) -> Arrivals:
    """Sort what became known of a counter on a day.

    Args:
        spec: What is counted.
        day: Day number.
        codes: int64 [n_events], keys.
        known: int64 [n_events], when they became known, UTC microseconds of that day.
        time: int64 [n_events], when they happened.
        values: int64 [n_events], what each adds.

    Returns:
        The events on time as a tile, and the late ones.
    """
    midnight = day * DAY
    delayed = known != time
    if not delayed.any():
        return Arrivals(Tile.of(codes, known - midnight, values))
    late = delayed & (known // HOUR != time // HOUR)
    rest = ~late
    tile = Tile.of(codes[rest], known[rest] - midnight, values[rest], time[rest])
    if not late.any():
        return Arrivals(tile)
    codes, known, time, values = codes[late], known[late], time[late], values[late]
    windows = {EVER: Tile.of(codes, known - midnight, values, time)}
    for days in spec.windows:
        if days != EVER:
            windows[days] = _pairs(days, midnight, codes, known, time, values)
    return Arrivals(tile, LateEvents(codes, time, values, windows))


def _pairs(
    days: int,
    midnight: int,
    codes: np.ndarray,
    known: np.ndarray,
    time: np.ndarray,
    values: np.ndarray,
) -> Tile:
    """Give late events as the window sees them: come when known, gone when the window leaves them.

    The last instant that sees an event is one microsecond before `window_end`; questions see what
    lies before them, so the event is taken off at that last instant.
    """
    gone = window_end(time, days) - 1
    seen = gone > known
    leaves = seen & (gone < midnight + DAY)
    return Tile.of(
        np.concatenate([codes[seen], codes[leaves]]),
        np.concatenate([known[seen], gone[leaves]]) - midnight,
        np.concatenate([values[seen], -values[leaves]]),
    )


@dataclass
class Counter:
    """The state of one counter as of a midnight UTC.

    Attributes:
        spec: What is counted.
        day: Day number whose midnight this is; events of earlier days are in.
        codes: int64 [n_keys], keys with any event so far; ascending when the state was read or
            tidied, later in any order, with room for more behind them.
        totals: int64 [n_keys, n_windows].
        first: int64 [n_keys], time of the first event.
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

    def __post_init__(self) -> None:
        if not len(self.codes):
            self.totals = np.zeros((0, len(self.spec.windows)), np.int64)
        self._size = len(self.codes)

    def find(self, codes: np.ndarray) -> np.ndarray:
        """Give the row of each key in the state, int64 [n]; -1 for keys without events."""
        return self._keys.find(codes)

    @property
    def _keys(self) -> KeyIndex:
        if self._index is None:
            self._index = KeyIndex(self.codes[: self._size], dense=len(self.spec.key) == 1)
        return self._index

    def tidy(self) -> None:
        """Put the keys in order, without room for more and without forgotten ones."""
        kept = np.flatnonzero(self.first[: self._size] != NO_TIME)
        kept = kept[np.argsort(self.codes[kept], kind="stable")]
        if len(kept) == len(self.codes) and (np.diff(kept) == 1).all():
            return
        self.codes, self.totals = self.codes[kept], self.totals[kept]
        self.first, self.last = self.first[kept], self.last[kept]
        self._index, self._size = None, len(kept)

    def leaving(self, days: int) -> Tile:
        """Give the tile of the day on which the window of that length begins."""
        return self.tile_of(self.day - days)

    def tile_of(self, day: int) -> Tile:
        """Give all that happened on a day and is known by now, to be taken off."""
        tile = self.tiles.get(day, EMPTY_TILE)
        return tile.joined(self.late[day]) if day in self.late else tile

    def advance(self, arrivals: Arrivals, forget_days: int) -> None:
        """Fold what became known on the day in, and go on to the next midnight.

        Args:
            arrivals: What became known on the day.
            forget_days: Keys of a user without an event in so many days are forgotten.
        """
        tile, late = arrivals.tile, arrivals.late
        if len(tile.codes):
            self._make_room(tile.codes)
            rows = self.find(tile.codes)
            self.totals[rows] += tile.totals[:, None]
            self._widen(rows, tile)
            self._keep(tile)
        if late is not None:
            self._add_late(late)
        for column, days in enumerate(self.spec.windows):
            leaving = EMPTY_TILE if days == EVER else self.leaving(days)
            if len(leaving.codes):
                self.totals[self.find(leaving.codes), column] -= leaving.totals
        self.day += 1
        self._forget(forget_days)

    def _keep(self, tile: Tile) -> None:
        """Keep the day's tile for the windows that will leave it, no finer than they need."""
        finite = [days for days in self.spec.windows if days != EVER]
        if finite:
            unit = HOUR if min(finite) <= HOURLY_WINDOW_DAYS else DAY
            self.tiles[self.day] = tile.by(unit)

    def _widen(self, rows: np.ndarray, tile: Tile) -> None:
        """Move the first and last times of the tile's keys."""
        first, last = tile.ends(self.day * DAY)
        known = self.first[rows] != NO_TIME
        self.first[rows] = np.where(known, np.minimum(self.first[rows], first), first)
        self.last[rows] = np.maximum(self.last[rows], last)

    def _add_late(self, late: LateEvents) -> None:
        """Count late events in the windows that still have them, and in the tile of their day."""
        ever = late.windows[EVER]
        self._make_room(ever.codes)
        self._widen(self.find(ever.codes), ever)
        rows, event_day = self.find(late.codes), late.time // DAY
        for column, days in enumerate(self.spec.windows):
            inside = slice(None) if days == EVER else event_day >= self.day - days
            np.add.at(self.totals[:, column], rows[inside], late.values[inside])
        for day in np.unique(event_day[event_day >= self.day - max(self.spec.windows)]).tolist():
            of_day = event_day == day
            tile = Tile.of(late.codes[of_day], late.time[of_day] - day * DAY, late.values[of_day])
            self.late[day] = self.late.get(day, EMPTY_TILE).joined(tile)

    def _make_room(self, codes: np.ndarray) -> None:
        new = codes[self.find(codes) < 0]
        if not len(new):
            return
        self._keys.add(new)
        low, self._size = self._size, self._size + len(new)
        self.codes = grown(self.codes, self._size, MISSING)
        self.totals = grown(self.totals, self._size, 0)
        self.first = grown(self.first, self._size, NO_TIME)
        self.last = grown(self.last, self._size, NO_TIME)
        self.codes[low : self._size] = new

    def _forget(self, forget_days: int) -> None:
        """Drop the tiles that have left every window, and a user's keys of long ago."""
        oldest = self.day - max(self.spec.windows)
        for tiles in (self.tiles, self.late):
            for day in [day for day in tiles if day < oldest]:
                del tiles[day]
        if USER not in self.spec.key:
            return
        gone = np.flatnonzero(self.last[: self._size] < (self.day - forget_days) * DAY)
        self.totals[gone] = 0
        self.first[gone] = self.last[gone] = NO_TIME
        if 2 * len(gone) > self._size:
            self.tidy()
