"""Hash table from keys to rows of an array, and arrays that grow geometrically."""

import numpy as np

from features.arrays.compiled import compiled

MISSING = -1


_LEAST_BITS = 10
_PIECE = 1 << 15
_MIX = np.uint64(0x9E3779B97F4A7C15)
"""An odd number with bits everywhere: the golden ratio's, Knuth, TAOCP 6.4."""


class KeyIndex:
    """Row of each key: a hash table with linear probing, at most half full.

    Args:
        codes: int64 [n_keys], keys to begin with, each once, in the order of their rows.
        first_row: Row of the first key.

    Attributes:
        rows_used: The row after the last one.
    """

    def __init__(self, codes: np.ndarray | None = None, first_row: int = 0) -> None:
        self.rows_used = self._first_row = first_row
        codes = np.zeros(0, np.int64) if codes is None else codes
        self._allot(len(codes))
        self.add(codes)

    def _allot(self, keys: int) -> None:
        bits = max(_LEAST_BITS, (2 * keys).bit_length())
        self._shift = np.uint64(64 - bits)
        self._keys = np.full(1 << bits, MISSING, np.int64)
        self._rows = np.empty(1 << bits, np.int32)

    def find(self, codes: np.ndarray) -> np.ndarray:
        """Rows of keys, int64 [n]; the one before `first_row` for keys that are not there."""
        return _find(self._keys, self._rows, self._shift, codes, self._first_row - 1)

    def add(self, codes: np.ndarray) -> np.ndarray:
        """Rows of keys; keys that are not there are given the next rows.

        Args:
            codes: int64 [n], none of them `MISSING`.

        Returns:
            int64 [n]; new rows in the order in which their keys first occur.
        """
        rows = np.empty(len(codes), np.int64)
        # In pieces, since most keys are there already and need no room.
        for low in range(0, len(codes), _PIECE):
            piece = slice(low, low + _PIECE)
            self._make_room(len(codes[piece]))
            keys, places, shift = self._keys, self._rows, self._shift
            self.rows_used = _add(keys, places, shift, codes[piece], self.rows_used, rows[piece])
        return rows

    def add_one(self, code: int) -> int:
        """Row of one key, as `add` gives it."""
        self._make_room(1)
        row = _add_one(self._keys, self._rows, self._shift, code, self.rows_used)
        self.rows_used = max(self.rows_used, row + 1)
        return row

    def _make_room(self, more: int) -> None:
        keys = self.rows_used - self._first_row + more
        if 2 * keys > len(self._keys):
            old_keys, old_rows = self._keys, self._rows
            self._allot(keys)
            _move(old_keys, old_rows, self._keys, self._rows, self._shift)

    @property
    def codes(self) -> np.ndarray:
        """The keys in the order of their rows, int64 [n_keys]."""
        used = self._keys != MISSING
        codes = np.empty(self.rows_used - self._first_row, np.int64)
        codes[self._rows[used] - self._first_row] = self._keys[used]
        return codes

    @property
    def bytes_used(self) -> int:
        """Memory of the table, in bytes."""
        return self._keys.nbytes + self._rows.nbytes


@compiled
def _at(keys: np.ndarray, shift: np.uint64, code: int) -> np.int64:
    """Slot of a key, or the one where it would be put."""
    place = np.int64((np.uint64(code) * _MIX) >> shift)
    while keys[place] != code and keys[place] != MISSING:
        place = (place + 1) & (len(keys) - 1)
    return place


@compiled
def _find(
    keys: np.ndarray, rows: np.ndarray, shift: np.uint64, codes: np.ndarray, absent: int
) -> np.ndarray:
    found = np.empty(len(codes), np.int64)
    for n in range(len(codes)):
        place = _at(keys, shift, codes[n])
        found[n] = absent if keys[place] == MISSING else rows[place]
    return found


@compiled
def _add(
    keys: np.ndarray,
    rows: np.ndarray,
    shift: np.uint64,
    codes: np.ndarray,
    count: int,
    found: np.ndarray,
) -> int:
    for n in range(len(codes)):
        row = _add_one(keys, rows, shift, codes[n], count)
        count = max(count, row + 1)
        found[n] = row
    return count


@compiled
def _add_one(keys: np.ndarray, rows: np.ndarray, shift: np.uint64, code: int, count: int) -> int:
    place = _at(keys, shift, code)
    if keys[place] == MISSING:
        keys[place], rows[place] = code, count
    return int(rows[place])


@compiled
def _move(
    old_keys: np.ndarray,
    old_rows: np.ndarray,
    keys: np.ndarray,
    rows: np.ndarray,
    shift: np.uint64,
) -> None:
    for old in range(len(old_keys)):
        if old_keys[old] != MISSING:
            place = _at(keys, shift, old_keys[old])
            keys[place], rows[place] = old_keys[old], old_rows[old]


def grown(array: np.ndarray, rows: int, fill: int) -> np.ndarray:
    """Lengthen an array geometrically, so that appending a row is O(1) amortised.

    Args:
        array: [n, ...].
        rows: Rows needed.
        fill: Value of new rows.

    Returns:
        The array itself when it is long enough, else a copy with half as many rows again.
    """
    if rows <= len(array):
        return array
    shape = (rows + rows // 2, *array.shape[1:])
    # Zeros come from the system untouched, so that rows not written to take no memory.
    longer = np.zeros(shape, array.dtype) if fill == 0 else np.full(shape, fill, array.dtype)
    longer[: len(array)] = array
    return longer
