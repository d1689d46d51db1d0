"""Rows of keys in growing arrays: a key keeps its row, whatever keys come after it."""

import numpy as np

from features.catalogue import MISSING
from features.compiled import compiled

_LEAST_BITS = 10
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
        if 2 * (self.count + len(codes)) > len(self._keys):
            old_keys, old_rows = self._keys, self._rows
            self._allot(self.count + len(codes))
            _move(old_keys, old_rows, self._keys, self._rows, self._shift)
        rows = np.empty(len(codes), np.int64)
        self.count = _place(self._keys, self._rows, self._shift, codes, self.count, rows)
        return rows


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
        place = _at(keys, shift, codes[n])
        if keys[place] == MISSING:
            keys[place], rows[place] = codes[n], count
            count += 1
        found[n] = rows[place]
    return count


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


def grown(values: np.ndarray, count: int, fill: int) -> np.ndarray:
    """Give an array with room for more rows, of which the new ones hold `fill`.

    Args:
        values: [n, ...].
        count: Rows that are needed.
        fill: What new rows hold.

    Returns:
        The same array when it has the room, else a copy that is half as large again.
    """
    if count <= len(values):
        return values
    wider = np.full((count + count // 2, *values.shape[1:]), fill, values.dtype)
    wider[: len(values)] = values
    return wider
