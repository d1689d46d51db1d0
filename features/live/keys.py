"""Which row of a table belongs to a key: by arithmetic for one part, by a hash table for a pair.

Row 0 stands for keys without events and is never written, so that a look-up needs no correction.
"""

import numpy as np

from features.catalogue import MISSING
from features.compiled import compiled

_MIX = np.uint64(0x9E3779B97F4A7C15)
"""An odd number with bits everywhere: the golden ratio's, Knuth, TAOCP 6.4."""
_LEAST_BITS = 5
_EMPTY = MISSING


class PlainKeys:
    """Rows of keys with one part: the code and one."""

    def __init__(self, rows_used: int = 1) -> None:
        self.rows_used = rows_used

    def find(self, codes: np.ndarray) -> np.ndarray:
        """Give the row of each key, int64 [n]; 0 for keys without one."""
        rows = codes.astype(np.int64) + 1
        rows[rows >= self.rows_used] = 0
        return rows

    def add(self, codes: np.ndarray) -> np.ndarray:
        """Give the row of each key, int64 [n], and one to those that have none."""
        rows = codes.astype(np.int64) + 1
        if len(rows):
            self.rows_used = max(self.rows_used, int(rows.max()) + 1)
        return rows

    def add_one(self, code: int) -> int:
        """Give the row of a key, a new one when it has none."""
        self.rows_used = max(self.rows_used, code + 2)
        return code + 1


class HashedKeys:
    """Rows of keys of 64 bits: a hash table with open addressing, at most half full.

    A key lies in the slot its hash says, or in the first one after it that was free; slots are
    only ever filled, so a search may end at the first empty one.
    """

    def __init__(self, codes: np.ndarray | None = None) -> None:
        self._codes = np.full(1, _EMPTY, np.int64)
        self.rows_used = 1
        self._allot(_LEAST_BITS)
        if codes is not None and len(codes):
            self.add(codes)

    def _allot(self, bits: int) -> None:
        self._shift = 64 - bits
        self._keys = np.full(1 << bits, _EMPTY, np.int64)
        self._rows = np.zeros(1 << bits, np.int32)

    @property
    def codes(self) -> np.ndarray:
        """The keys in the order of their rows, from row 1 on, int64 [rows_used - 1]."""
        return self._codes[1 : self.rows_used]

    @property
    def bytes_used(self) -> int:
        """Memory of the table, in bytes."""
        return sum(a.nbytes for a in (self._codes, self._keys, self._rows))

    def find(self, codes: np.ndarray) -> np.ndarray:
        """Give the row of each key, int64 [n]; 0 for keys without one, and for `MISSING`."""
        return _find(self._keys, self._rows, self._shift, codes)

    def add(self, codes: np.ndarray) -> np.ndarray:
        """Give the row of each key, int64 [n], and one to those that have none.

        Args:
            codes: int64 [n], none of them `MISSING`.

        Returns:
            The rows; new ones in the order in which their keys stand first.
        """
        self._make_room(len(codes))
        rows = np.empty(len(codes), np.int64)
        self.rows_used = _add(
            self._keys, self._rows, self._shift, self._codes, self.rows_used, codes, rows
        )
        return rows

    def add_one(self, code: int) -> int:
        """Give the row of a key, a new one when it has none."""
        self._make_room(1)
        row = _add_one(self._keys, self._rows, self._shift, self._codes, self.rows_used, code)
        self.rows_used = max(self.rows_used, row + 1)
        return row

    def _make_room(self, more: int) -> None:
        end = self.rows_used + more
        if end > len(self._codes):
            longer = np.full(max(2 * len(self._codes), end), _EMPTY, np.int64)
            longer[: self.rows_used] = self._codes[: self.rows_used]
            self._codes = longer
        if 2 * end > len(self._keys):
            self._allot((4 * end - 1).bit_length())
            rows = np.empty(self.rows_used - 1, np.int64)
            _add(self._keys, self._rows, self._shift, self._codes, 1, self.codes, rows)


@compiled
def _slot(keys: np.ndarray, shift: int, code: int) -> int:
    """Give the slot that holds a key, or the empty one where the search for it ends."""
    slot = int(np.int64((np.uint64(code) * _MIX) >> np.uint64(shift)))
    while keys[slot] != code and keys[slot] != _EMPTY:
        slot = (slot + 1) & (len(keys) - 1)
    return slot


@compiled
def _find(keys: np.ndarray, rows: np.ndarray, shift: int, codes: np.ndarray) -> np.ndarray:
    found = np.empty(len(codes), np.int64)
    for place in range(len(codes)):
        # An empty slot has row 0, and a search for `MISSING` ends at one.
        found[place] = rows[_slot(keys, shift, codes[place])]
    return found


@compiled
def _add_one(
    keys: np.ndarray, rows: np.ndarray, shift: int, codes: np.ndarray, rows_used: int, code: int
) -> int:
    """Give a key's row; a new one is the next, and the key is noted in `codes`."""
    slot = _slot(keys, shift, code)
    if keys[slot] == _EMPTY:
        keys[slot] = code
        rows[slot] = rows_used
        codes[rows_used] = code
    return int(rows[slot])


@compiled
def _add(
    keys: np.ndarray,
    rows: np.ndarray,
    shift: int,
    codes: np.ndarray,
    rows_used: int,
    new: np.ndarray,
    found: np.ndarray,
) -> int:
    """Give keys their rows; returns how many rows are used then."""
    for place in range(len(new)):
        row = _add_one(keys, rows, shift, codes, rows_used, new[place])
        rows_used = max(rows_used, row + 1)
        found[place] = row
    return rows_used
