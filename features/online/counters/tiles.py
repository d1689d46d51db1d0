"""Tiles of the online executor: what each added per key, kept until it has left every window."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from features.arrays.clock import DAY, tile_length
from features.counter_spec import EVER

_LEAST = 8


class Deltas:
    """Amounts that one tile added, by row of the table.

    Additions to one row are put together before the arrays grow, so that their length stays within
    twice the number of rows, however many events the tile has.
    """

    def __init__(self, rows: np.ndarray | None = None, amounts: np.ndarray | None = None) -> None:
        self._rows = np.zeros(_LEAST, np.int32) if rows is None else rows.astype(np.int32)
        self._amounts = np.zeros(_LEAST, np.int64) if amounts is None else amounts
        self._used = 0 if rows is None else len(rows)

    @property
    def rows(self) -> np.ndarray:
        """Rows of the table, int32 [n]; with repetitions."""
        return self._rows[: self._used]

    @property
    def amounts(self) -> np.ndarray:
        """Amount added to each, int64 [n]."""
        return self._amounts[: self._used]

    @property
    def bytes_used(self) -> int:
        """Memory of the arrays, in bytes."""
        return self._rows.nbytes + self._amounts.nbytes

    def add(self, rows: np.ndarray, amounts: np.ndarray) -> None:
        """Add to some rows; rows may repeat."""
        self._make_room(len(rows))
        end = self._used + len(rows)
        self._rows[self._used : end] = rows
        self._amounts[self._used : end] = amounts
        self._used = end

    def add_one(self, row: int, amount: int) -> None:
        """Add to one row."""
        if self._used == len(self._rows):
            self._make_room(1)
        self._rows[self._used] = row
        self._amounts[self._used] = amount
        self._used += 1

    def renumber(self, row_of: np.ndarray) -> None:
        """Follow rows to their new places in the table, int64 [n_rows] by the old one."""
        self._rows[: self._used] = row_of[self.rows]

    def _make_room(self, more: int) -> None:
        if self._used + more <= len(self._rows):
            return
        rows, which = np.unique(self.rows, return_inverse=True)
        amounts = np.zeros(len(rows), np.int64)
        np.add.at(amounts, which, self.amounts)
        length = max(2 * (len(rows) + more), _LEAST)
        self._used = len(rows)
        self._rows = np.zeros(length, np.int32)
        self._amounts = np.zeros(length, np.int64)
        self._rows[: self._used], self._amounts[: self._used] = rows, amounts


class Tiles:
    """The tiles of one length of one counter.

    Args:
        length: Of each tile, in microseconds.
        windows: Days of the windows that begin with such tiles.
    """

    def __init__(self, length: int, windows: Sequence[int]) -> None:
        self.length = length
        self.windows = tuple(windows)
        self.tiles: dict[int, Deltas] = {}

    def first_tile(self, time: int, days: int) -> int:
        """Number of the first tile inside a window that ends at `time`."""
        return (time - days * DAY) // self.length

    def add(self, now: int, time: np.ndarray, rows: np.ndarray, amounts: np.ndarray) -> None:
        """Add the amounts of events to the tiles of their times, unless these have left already."""
        tile = time // self.length
        oldest = self.first_tile(now, max(self.windows))
        low, high = int(tile.min()), int(tile.max())
        if low == high:
            if low >= oldest:
                self._of(low).add(rows, amounts)
            return
        for each in np.unique(tile[tile >= oldest]).tolist():
            inside = tile == each
            self._of(each).add(rows[inside], amounts[inside])

    def add_one(self, now: int, time: int, row: int, amount: int) -> None:
        """Add the amount of one event."""
        tile = time // self.length
        if tile >= self.first_tile(now, max(self.windows)):
            self._of(tile).add_one(row, amount)

    def leaving(self, before: int, now: int, days: int) -> Iterator[Deltas]:
        """Tiles that leave a window as its end moves from `before` to `now`."""
        start, end = self.first_tile(before, days), self.first_tile(now, days)
        if end - start > len(self.tiles):
            yield from (deltas for tile, deltas in self.tiles.items() if start <= tile < end)
            return
        for tile in range(start, end):
            if (deltas := self.tiles.get(tile)) is not None:
                yield deltas

    def forget(self, now: int) -> None:
        """Drop the tiles that have left the longest window."""
        oldest = self.first_tile(now, max(self.windows))
        for tile in [tile for tile in self.tiles if tile < oldest]:
            del self.tiles[tile]

    def _of(self, tile: int) -> Deltas:
        deltas = self.tiles.get(tile)
        if deltas is None:
            deltas = self.tiles[tile] = Deltas()
        return deltas

    def laid_out(self) -> dict[str, np.ndarray]:
        """Give all tiles as arrays laid end to end, with the size of each."""
        deltas = list(self.tiles.values())
        return {
            "tiles": np.array(list(self.tiles), np.int64),
            "sizes": np.array([len(each.rows) for each in deltas], np.int64),
            "rows": np.concatenate([np.zeros(0, np.int32), *(each.rows for each in deltas)]),
            "amounts": np.concatenate([np.zeros(0, np.int64), *(each.amounts for each in deltas)]),
        }

    def lay_in(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `laid_out` gave."""
        ends = np.cumsum(arrays["sizes"])
        starts = ends - arrays["sizes"]
        runs = zip(starts.tolist(), ends.tolist(), strict=True)
        for tile, (start, end) in zip(arrays["tiles"].tolist(), runs, strict=True):
            rows, amounts = arrays["rows"][start:end], arrays["amounts"][start:end]
            self.tiles[tile] = Deltas(rows.copy(), amounts.copy())


def tiles_of(windows: Sequence[int]) -> list[Tiles]:
    """Tiles for a counter of these windows: of hours, of days, of both or none."""
    bounded = [days for days in windows if days != EVER]
    lengths = sorted({tile_length(days) for days in bounded})
    return [
        Tiles(length, [days for days in bounded if tile_length(days) == length])
        for length in lengths
    ]
