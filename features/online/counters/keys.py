"""Which row of a table belongs to a key: by arithmetic for one part, by a hash table for a pair.

Row 0 stands for keys without events and is never written, so that a look-up needs no correction.
"""

import numpy as np

from features.arrays.key_index import MISSING, KeyIndex, grown


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
    """Rows of keys of 64 bits, by a hash table.

    Args:
        codes: int64 [n], keys to begin with, in the order of their rows.
    """

    def __init__(self, codes: np.ndarray | None = None) -> None:
        self._index = KeyIndex(np.zeros(0, np.int64))
        self._codes = np.full(1, MISSING, np.int64)
        if codes is not None:
            self.add(codes)

    @property
    def rows_used(self) -> int:
        """Rows in use, with row 0."""
        return self._index.count + 1

    @property
    def codes(self) -> np.ndarray:
        """The keys in the order of their rows, from row 1 on, int64 [rows_used - 1]."""
        return self._codes[1 : self.rows_used]

    @property
    def bytes_used(self) -> int:
        """Memory of the table, in bytes."""
        return self._codes.nbytes + self._index.bytes_used

    def find(self, codes: np.ndarray) -> np.ndarray:
        """Give the row of each key, int64 [n]; 0 for keys without one, and for `MISSING`."""
        return self._index.find(codes) + 1

    def add(self, codes: np.ndarray) -> np.ndarray:
        """Give the row of each key, int64 [n], and one to those that have none.

        Args:
            codes: int64 [n], none of them `MISSING`.

        Returns:
            The rows; new ones in the order in which their keys stand first.
        """
        rows = self._index.place(codes) + 1
        self._codes = grown(self._codes, self.rows_used, MISSING)
        self._codes[rows] = codes
        return rows

    def add_one(self, code: int) -> int:
        """Give the row of a key, a new one when it has none."""
        row = self._index.place_one(code) + 1
        if row >= len(self._codes):
            self._codes = grown(self._codes, self.rows_used, MISSING)
        self._codes[row] = code
        return row
