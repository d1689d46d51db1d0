"""Rows of keys in growing arrays: a key keeps its row, whatever keys come after it."""

import numpy as np

from features.arrays.compiled import compiled

MISSING = -1


_LEAST_BITS = 10
_PIECE = 1 << 15
_MIX = np.uint64(0x9E3779B97F4A7C15)
"""An odd number with bits everywhere: the golden ratio's, Knuth, TAOCP 6.4."""


class KeyIndex:
    """Finds the row of a key.

    A hash table whose places are tried one after the other, at most half full.

    Args:
        codes: int64 [n_keys], the keys of the rows, each once.
    """

    def __init__(self, codes: np.ndarray) -> None:
        self.count = 0
        self._allot(len(codes))
        self.place(codes)

    def _allot(self, keys: int) -> None:
        bits = max(_LEAST_BITS, (2 * keys).bit_length())
        self._shift = np.uint64(64 - bits)
        self._keys = np.full(1 << bits, MISSING, np.int64)
        self._rows = np.empty(1 << bits, np.int32)

    def find(self, codes: np.ndarray) -> np.ndarray:
        """Give the row of each key, int64 [n]; -1 for keys that are not there."""
        return _find(self._keys, self._rows, self._shift, codes)

    def place(self, codes: np.ndarray) -> np.ndarray:
        """Give the row of each key, and the next rows to keys that are not there.

        Args:
            codes: int64 [n], none of them `MISSING`.

        Returns:
            int64 [n]; new rows in the order in which their keys stand first.
        """
        rows = np.empty(len(codes), np.int64)
        # In pieces, since most keys are there already and need no room.
        for low in range(0, len(codes), _PIECE):
            piece = slice(low, low + _PIECE)
            self._make_room(len(codes[piece]))
            keys, places, shift = self._keys, self._rows, self._shift
            self.count = _place(keys, places, shift, codes[piece], self.count, rows[piece])
        return rows

    def place_one(self, code: int) -> int:
        """Give the row of one key, the next row to one that is not there."""
        self._make_room(1)
        row = _place_one(self._keys, self._rows, self._shift, code, self.count)
        self.count = max(self.count, row + 1)
        return row

    def _make_room(self, more: int) -> None:
        if 2 * (self.count + more) > len(self._keys):
            old_keys, old_rows = self._keys, self._rows
            self._allot(self.count + more)
            _move(old_keys, old_rows, self._keys, self._rows, self._shift)

    @property
    def bytes_used(self) -> int:
        """Memory of the table, in bytes."""
        return self._keys.nbytes + self._rows.nbytes


@compiled
def _at(keys: np.ndarray, shift: np.uint64, code: int) -> np.int64:
    """Find where a key is, or where it would be put."""
    place = np.int64((np.uint64(code) * _MIX) >> shift)
    while keys[place] != code and keys[place] != MISSING:
        place = (place + 1) & (len(keys) - 1)
    return place


@compiled
def _find(keys: np.ndarray, rows: np.ndarray, shift: np.uint64, codes: np.ndarray) -> np.ndarray:
    found = np.empty(len(codes), np.int64)
    for n in range(len(codes)):
        place = _at(keys, shift, codes[n])
        found[n] = -1 if keys[place] == MISSING else rows[place]
    return found


@compiled
def _place(
    keys: np.ndarray,
    rows: np.ndarray,
    shift: np.uint64,
    codes: np.ndarray,
    count: int,
    found: np.ndarray,
) -> int:
    for n in range(len(codes)):
        row = _place_one(keys, rows, shift, codes[n], count)
        count = max(count, row + 1)
        found[n] = row
    return count


@compiled
def _place_one(keys: np.ndarray, rows: np.ndarray, shift: np.uint64, code: int, count: int) -> int:
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
    """Give an array of at least so many rows that begins with the given one.

    Args:
        array: [n, ...].
        rows: Rows needed.
        fill: What new rows hold.

    Returns:
        The array itself when it is long enough, else a copy with room for half as many again.
    """
    if rows <= len(array):
        return array
    shape = (rows + rows // 2, *array.shape[1:])
    # Zeros come from the system untouched, so that rows not written to take no memory.
    longer = np.zeros(shape, array.dtype) if fill == 0 else np.full(shape, fill, array.dtype)
    longer[: len(array)] = array
    return longer
