"""Rows of a counter table by key: the code plus one for one part, a hash table for a pair.

Row 0 is for keys without events and is never written, so that a look-up needs no correction.
"""

import numpy as np

from features.arrays.key_index import KeyIndex


class PlainKeys:
    """Rows of keys with one part: the code plus one."""

    def __init__(self, rows_used: int = 1) -> None:
        self.rows_used = rows_used

    def find(self, codes: np.ndarray) -> np.ndarray:
        """Rows of keys, int64 [n]; 0 for keys without one."""
        rows = codes.astype(np.int64) + 1
        rows[rows >= self.rows_used] = 0
        return rows

    def add(self, codes: np.ndarray) -> np.ndarray:
        """Rows of keys, int64 [n]; keys without one are given one."""
        rows = codes.astype(np.int64) + 1
        if len(rows):
            self.rows_used = max(self.rows_used, int(rows.max()) + 1)
        return rows

    def add_one(self, code: int) -> int:
        """Row of one key, as `add` gives it."""
        self.rows_used = max(self.rows_used, code + 2)
        return code + 1


class HashedKeys(KeyIndex):
    """Rows of keys with two parts, by a hash table, from row 1 on.

    Args:
        codes: int64 [n], keys to begin with, in the order of their rows.
    """

    def __init__(self, codes: np.ndarray | None = None) -> None:
        super().__init__(codes, first_row=1)
