"""Point-in-time reads of one counter: the total at midnight, the day's events before each row."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from features.arrays.clock import DAY, HOUR, NO_TIME, tile_length
from features.arrays.compiled import compiled
from features.batch.counters.counter import Counter
from features.batch.counters.tiles import DayEvents, Tile
from features.counter_spec import EVER


class TileRows(NamedTuple):
    """A tile with its keys' rows in the state.

    Attributes:
        rows: int64 [n_keys]; -1 for a key that was forgotten.
        moments: As in `Tile`.
        running: As in `Tile`.
        starts: As in `Tile`.
        newest: As in `Tile`.
        oldest: As in `Tile`.
    """

    rows: np.ndarray
    moments: np.ndarray
    running: np.ndarray
    starts: np.ndarray
    newest: np.ndarray
    oldest: np.ndarray

    @classmethod
    def of(cls, tile: Tile, rows: np.ndarray) -> "TileRows":
        """Put a tile and the rows of its keys together."""
        return cls(rows, tile.moments, tile.running, tile.starts, tile.newest, tile.oldest)


@dataclass
class Reading:
    """Reads of one counter as of each row's time on the state's day.

    Attributes:
        counter: The state as of the day's midnight; keys that came on the day are given rows.
        today: What became known on the day.
        codes: int64 [n], the keys of the rows.
        time: int64 [n], UTC microseconds within the day; quickest when ascending.
    """

    counter: Counter
    today: DayEvents
    codes: np.ndarray
    time: np.ndarray

    def __post_init__(self) -> None:
        tile, late = self.today.tile, self.today.late
        tiles = [tile] if late is None else [tile, late.windows[EVER]]
        # Events on time, then late ones if any.
        self._tiles = [TileRows.of(each, self.counter.place(each.codes)) for each in tiles]
        self._rows = self.counter.find(self.codes)

    def read_ahead(self) -> None:
        """Read totals and times, after which the state may advance."""
        _ = self._totals, self._ends

    def total(self, days: int) -> np.ndarray:
        """Total of a window of the counter, int64 [n]."""
        return self._totals[self.counter.spec.windows.index(days)]

    @cached_property
    def _totals(self) -> np.ndarray:
        """The totals of all windows, int64 [n_windows, n]."""
        counter, late = self.counter, self.today.late
        found = known_totals(counter.totals, self._rows)
        add(found, self._tiles[0], *self._places[0], 1)
        for place, days in enumerate(counter.spec.windows):
            one = found[place : place + 1]
            if late is not None:
                self._add(one, self._known(late.windows[days]), self._of_day, 1)
            if days != EVER and tile_length(days) == HOUR and self._hour.any():
                self._add(one, self._known(counter.leaving(days)), self._hour, -1)
        return found

    def _known(self, tile: Tile) -> TileRows:
        return TileRows.of(tile, self.counter.find(tile.codes))

    def _add(self, found: np.ndarray, tile: TileRows, moment: np.ndarray, sign: int) -> None:
        if len(tile.rows):
            add(found, tile, *places_before(self._rows, moment, self.counter.slots, tile), sign)

    @cached_property
    def _of_day(self) -> np.ndarray:
        """Each row's time, in microseconds of the day."""
        return self.time - self.counter.day * DAY

    @cached_property
    def _hour(self) -> np.ndarray:
        """When each row's hour began, in microseconds of the day."""
        return self._of_day // HOUR * HOUR

    @cached_property
    def _places(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Position of each row among the events of its key, for each of the day's tiles."""
        slots = self.counter.slots
        return [places_before(self._rows, self._of_day, slots, tile) for tile in self._tiles]

    @cached_property
    def _ends(self) -> tuple[np.ndarray, np.ndarray]:
        """Times of the first and the last event, two int64 [n]; `NO_TIME` where there is none."""
        counter = self.counter
        first, last = known_ends(counter.first, counter.last, self._rows)
        for tile, (key, end) in zip(self._tiles, self._places, strict=True):
            widen(first, last, tile, key, end, counter.day * DAY)
        return first, last

    def last(self) -> np.ndarray:
        """Time of the last event, int64 [n]; `NO_TIME` where there is none."""
        return self._ends[1]

    def first(self) -> np.ndarray:
        """Time of the first event, int64 [n]; `NO_TIME` where there is none."""
        return self._ends[0]


@compiled
def known_totals(totals: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Look totals up.

    Args:
        totals: int64 [n_keys, n_windows].
        rows: int64 [n], rows of `totals`; -1 for none.

    Returns:
        int64 [n_windows, n], 0 where there is none.
    """
    windows = totals.shape[1]
    found = np.zeros((windows, len(rows)), np.int64)
    for n in range(len(rows)):
        if rows[n] >= 0:
            for window in range(windows):
                found[window, n] = totals[rows[n], window]
    return found


@compiled
def known_ends(
    first: np.ndarray, last: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Look first and last times up, two int64 [n]; `NO_TIME` where there is none."""
    begin, end = np.full(len(rows), NO_TIME), np.full(len(rows), NO_TIME)
    for n in range(len(rows)):
        if rows[n] >= 0:
            begin[n], end[n] = first[rows[n]], last[rows[n]]
    return begin, end


@compiled
def places_before(
    rows: np.ndarray, moment: np.ndarray, slots: np.ndarray, tile: TileRows
) -> tuple[np.ndarray, np.ndarray]:
    """Position of each query among a tile's events of its key.

    Each key has a pointer into its events that advances with the queries, ordered by time.

    Args:
        rows: int64 [n], the state's row of each query; -1 for none.
        moment: int64 [n], microseconds since midnight UTC, at most a day.
        slots: int32 [n_rows] of -1.
        tile: The events.

    Returns:
        Place of the key in the tile, -1 when it is not there; and the place after its last event
        before the moment. Two int64 [n].
    """
    for place in range(len(tile.rows)):
        if tile.rows[place] >= 0:
            slots[tile.rows[place]] = place
    at = tile.starts.copy()
    before = np.int64(0)
    keys, ends = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64)
    for n in range(len(rows)):
        if moment[n] < before:
            at[:] = tile.starts
        before = moment[n]
        key = np.int64(slots[rows[n]]) if rows[n] >= 0 else np.int64(-1)
        keys[n], ends[n] = key, 0
        if key >= 0:
            at[key] = _past(tile.moments, at[key], tile.starts[key + 1], key * DAY + moment[n])
            ends[n] = at[key]
    for row in tile.rows:
        if row >= 0:
            slots[row] = -1
    return keys, ends


@compiled
def _past(moments: np.ndarray, low: int, high: int, moment: int) -> int:
    """Go on to the first event that is not before a moment."""
    while low < high and moments[low] < moment:
        low += 1
    return low


@compiled
def add(found: np.ndarray, tile: TileRows, key: np.ndarray, end: np.ndarray, sign: int) -> None:
    """Add the total of a tile's events before each query.

    Args:
        found: int64 [n_windows, n], changed.
        tile: The events.
        key: From `places_before`.
        end: From `places_before`.
        sign: 1 to add, -1 to take off.
    """
    for n in range(len(key)):
        if key[n] >= 0:
            total = sign * (tile.running[end[n]] - tile.running[tile.starts[key[n]]])
            for window in range(len(found)):
                found[window, n] += total


@compiled
def widen(
    first: np.ndarray,
    last: np.ndarray,
    tile: TileRows,
    key: np.ndarray,
    end: np.ndarray,
    midnight: int,
) -> None:
    """Update first and last times with a tile's events before each query.

    Args:
        first: int64 [n], UTC microseconds or `NO_TIME`, changed.
        last: The same.
        tile: The events.
        key: From `places_before`.
        end: From `places_before`.
        midnight: When the day began, UTC microseconds.
    """
    for n in range(len(key)):
        if key[n] < 0 or end[n] == tile.starts[key[n]]:
            continue
        shift = midnight - key[n] * DAY
        begins = tile.moments[tile.starts[key[n]]] + shift
        ends = tile.moments[end[n] - 1] + shift
        if len(tile.newest):
            begins, ends = tile.oldest[end[n] - 1], tile.newest[end[n] - 1]
        if first[n] == NO_TIME or begins < first[n]:
            first[n] = begins
        last[n] = max(last[n], ends)
