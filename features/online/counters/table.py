"""A counter table: running totals of every kind and window of a key, in one row.

A row's totals are right as of the clock: an event is added to the windows it lies in, and noted in
the tiles of its time; a tile that leaves a window is subtracted from it in one operation.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features.arrays.clock import DAY, NEVER, window_start
from features.arrays.key_index import grown
from features.counter_spec import EVER, USER, CounterSpec, Measure
from features.online.counters.keys import HashedKeys, PlainKeys
from features.online.counters.loops import MEASURES, START, count, count_one, read_rows
from features.online.counters.tiles import Tiles, tiles_of

_ALWAYS = -NEVER
_LEAST_ROWS = 16


@dataclass(frozen=True)
class CountedEvents:
    """Times and amounts of events, in the order in which they became known.

    Attributes:
        time: int64 [n], UTC microseconds.
        version: int32 [n], version of each one's item when it became known; `MISSING` without one.
        amounts: int64 [n_measures, n], what each adds by place in `MEASURES`; `priced` is 0 or 1.
    """

    time: np.ndarray
    version: np.ndarray
    amounts: np.ndarray

    def take(self, places: np.ndarray) -> "CountedEvents":
        """Keep some events."""
        return CountedEvents(self.time[places], self.version[places], self.amounts[:, places])


@dataclass(frozen=True)
class _Series:
    """One counter's columns.

    Attributes:
        spec: What it counts.
        measure: Place in `MEASURES`.
        columns: Column of each window in the totals.
        track: Column pair of its last and first time.
        tiles: Its tiles.
    """

    spec: CounterSpec
    measure: int
    columns: tuple[int, ...]
    track: int
    tiles: Sequence[Tiles]


@dataclass(frozen=True)
class _Group:
    """The columns of one kind.

    Attributes:
        series: Its counters.
        days: Length of each window.
        windows: int64 [3, n_windows], where its events are counted, see `loops.COLUMN`;
            `START` moves with the clock.
        tracks: int64 [2, n_tracks], the same of the times.
    """

    series: Sequence[_Series]
    days: tuple[int, ...]
    windows: np.ndarray
    tracks: np.ndarray


class CounterTable:
    """All counters of one key.

    Args:
        key: Parts of the key.
        specs: The counters, all of this key.

    Attributes:
        keys: Which row a key has.
        totals: int64 [n, n_columns], as of the clock.
        ends: int64 [n, 2 * n_tracks], time of the last and of the first event of each track;
            `-NEVER` and `NEVER` without one.
        clock: UTC microseconds, the end of the windows.
    """

    def __init__(self, key: tuple[str, ...], specs: Sequence[CounterSpec]) -> None:
        self.key = key
        self.keys: PlainKeys | HashedKeys = HashedKeys() if len(key) > 1 else PlainKeys()
        self.clock = 0
        self.series: dict[str, _Series] = {}
        self.column: dict[tuple[str, Measure, int], int] = {}
        self.track: dict[tuple[str, bool], int] = {}
        for spec in specs:
            track = self.track.setdefault(
                (spec.kind, spec.measure in ("log_price", "priced")), len(self.track)
            )
            columns = []
            for days in spec.windows:
                columns.append(len(self.column))
                self.column[spec.kind, spec.measure, days] = columns[-1]
            measure = MEASURES.index(spec.measure)
            self.series[spec.name] = _Series(
                spec, measure, tuple(columns), track, tiles_of(spec.windows)
            )
        self.groups = {kind: self._group(kind) for kind in {spec.kind for spec in specs}}
        self.totals = np.zeros((_LEAST_ROWS, len(self.column)), np.int64)
        self.ends = self._no_ends(_LEAST_ROWS)
        self._set_starts()

    def _group(self, kind: str) -> _Group:
        series = [each for each in self.series.values() if each.spec.kind == kind]
        tracks = {track: priced for (of, priced), track in self.track.items() if of == kind}
        windows = [(column, each.measure, 0) for each in series for column in each.columns]
        return _Group(
            series,
            tuple(days for each in series for days in each.spec.windows),
            np.ascontiguousarray(np.array(windows, np.int64).T),
            np.array([list(tracks), list(tracks.values())], np.int64),
        )

    def _no_ends(self, rows: int) -> np.ndarray:
        ends = np.empty((rows, 2 * len(self.track)), np.int64)
        ends[:, 0::2], ends[:, 1::2] = -NEVER, NEVER
        return ends

    def make_room(self) -> None:
        """Grow the columns to the rows of the keys."""
        rows, had = self.keys.rows_used, len(self.ends)
        if rows > had:
            self.totals = grown(self.totals, rows, 0)
            ends = self._no_ends(len(self.totals))
            ends[:had] = self.ends
            self.ends = ends

    def read(self, codes: np.ndarray, moment: int, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Look keys up for all kinds and windows at once.

        Args:
            codes: int64 [n_rows], or [1] for one key that all rows share.
            moment: UTC microseconds, the clock's.
            n_rows: Number of rows.

        Returns:
            Totals, float64 [n_columns, n_rows], NaN for a key that is `MISSING`; and days since the
            last and the first event of each track, float64 [2 * n_tracks, n_rows], NaN without one.
        """
        return read_rows(self.totals, self.ends, self.keys.find(codes), codes, moment, n_rows)

    def add(self, kind: str, codes: np.ndarray, counted: CountedEvents) -> None:
        """Count events of one kind.

        Args:
            kind: Their kind, one that the table counts.
            codes: int64 [n], their keys, none of them `MISSING`.
            counted: The events.
        """
        rows = self.keys.add(codes)
        self.make_room()
        group = self.groups[kind]
        windows, tracks = group.windows, group.tracks
        count(self.totals, self.ends, rows, counted.time, counted.amounts, windows, tracks)
        for series in group.series:
            for tiles in series.tiles:
                tiles.add(self.clock, counted.time, rows, counted.amounts[series.measure])

    def add_one(self, kind: str, code: int, time: int, amounts: np.ndarray) -> None:
        """Count one event of amounts int64 [n_measures], faster than `add`."""
        row = self.keys.add_one(code)
        if row >= len(self.ends):
            self.make_room()
        group = self.groups[kind]
        count_one(self.totals, self.ends, row, time, amounts, group.windows, group.tracks)
        for series in group.series:
            amount = int(amounts[series.measure])
            if amount:
                for tiles in series.tiles:
                    tiles.add_one(self.clock, time, row, amount)

    def advance(self, now: int) -> None:
        """Move the windows' end to `now`; the tiles that leave a window are subtracted."""
        flat, width = self.totals.reshape(-1), self.totals.shape[1]
        for series in self.series.values():
            column = dict(zip(series.spec.windows, series.columns, strict=True))
            for tiles in series.tiles:
                for days in tiles.windows:
                    for deltas in tiles.leaving(self.clock, now, days):
                        cells = deltas.rows.astype(np.int64) * width + column[days]
                        np.subtract.at(flat, cells, deltas.amounts)
                tiles.forget(now)
        self.clock = now
        self._set_starts()

    def _set_starts(self) -> None:
        """Update where the windows begin, by kind; windows without a beginning hold every event."""
        now = np.array([self.clock])
        days_of = {days for _, _, days in self.column}
        start_of = {
            days: _ALWAYS if days == EVER else int(window_start(now, days)[0]) for days in days_of
        }
        for group in self.groups.values():
            group.windows[START] = [start_of[days] for days in group.days]

    def forget(self, day: int, forget_days: int) -> None:
        """Forget a user's keys without an event in so many days, as of a day's midnight."""
        if USER not in self.key:
            return
        cutoff = (day - forget_days) * DAY
        used = self.keys.rows_used
        for track in self.track.values():
            last = self.ends[:used, 2 * track]
            old = np.flatnonzero((last < cutoff) & (last > -NEVER))
            if len(old):
                self.ends[old, 2 * track], self.ends[old, 2 * track + 1] = -NEVER, NEVER
                for series in self.series.values():
                    if series.track == track:
                        self.totals[old[:, None], np.array(series.columns)] = 0
        if isinstance(self.keys, HashedKeys):
            self._compact(self.keys)

    def _compact(self, keys: HashedKeys) -> None:
        """Rows of forgotten keys back once they are half of all."""
        used = keys.rows_used
        alive: np.ndarray = self.ends[:used, 0::2].max(axis=1) > -NEVER
        alive[0] = False
        count = int(alive.sum())
        if used - 1 < _LEAST_ROWS or 2 * count > used - 1:
            return
        kept = np.concatenate([[0], np.flatnonzero(alive)])
        row_of = np.zeros(used, np.int64)
        row_of[kept] = np.arange(count + 1)
        for series in self.series.values():
            for tiles in series.tiles:
                for deltas in tiles.tiles.values():
                    deltas.renumber(row_of)
        self.keys = HashedKeys(keys.codes[kept[1:] - 1])
        totals, ends = self.totals[kept], self.ends[kept]
        self.totals = grown(totals, max(_LEAST_ROWS, count + 1), 0)
        self.ends = self._no_ends(len(self.totals))
        self.ends[: len(ends)] = ends
