"""Values of a sparse matrix at many places at once, most of which are empty."""

import numpy as np
from scipy import sparse

_BITS_PER_ENTRY = 16
_HASH = np.uint64(0x9E3779B97F4A7C15)
"""An odd number with bits everywhere: the golden ratio's, Knuth, TAOCP 6.4."""
_CHUNK = 1 << 16


class PairTable:
    """Looks entries of a matrix up by row and column.

    A bit for each of `_BITS_PER_ENTRY` times as many hashes as there are entries says at once that
    most places are empty; only the others are searched for.

    Args:
        matrix: float32 CSR [n, n], the columns of each row ascending.
    """

    def __init__(self, matrix: sparse.csr_array) -> None:
        self._columns = int(matrix.shape[1])
        row = np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))
        self._keys = row * self._columns + matrix.indices
        self._values: np.ndarray = matrix.data
        width = max(int(matrix.nnz * _BITS_PER_ENTRY).bit_length(), 10)
        self._shift = np.uint64(64 - width)
        filled = np.zeros(1 << width, np.bool_)
        filled[self._hash(self._keys)] = True
        self._filled = np.packbits(filled, bitorder="little")

    def _hash(self, keys: np.ndarray) -> np.ndarray:
        return (keys.view(np.uint64) * _HASH) >> self._shift

    def look_up(self, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """Give the entries at some places.

        Args:
            row: int [n, k]; negative for none.
            column: int [n], the column of each line of `row`; negative for none.

        Returns:
            float32 [n, k], 0 where there is no entry.
        """
        values = np.zeros(row.shape, np.float32)
        if not len(self._keys) or not row.size:
            return values
        # One row beyond the last has no entries: places without a row or a column go there.
        base = np.where(row < 0, self._columns, row).astype(np.int64) * self._columns
        step = max(_CHUNK // row.shape[1], 1)
        for low in range(0, len(row), step):
            part = slice(low, low + step)
            known = column[part] >= 0
            keys = base[part] + np.where(known, column[part], 0)[:, None]
            if not known.all():
                keys[~known] = self._columns * self._columns
            self._fill(keys.ravel(), values[part].reshape(-1))
        return values

    def _fill(self, keys: np.ndarray, values: np.ndarray) -> None:
        """Set the values of the keys that have one."""
        place = self._hash(keys)
        bits = self._filled[place >> np.uint64(3)] >> (place & np.uint64(7)).astype(np.uint8)
        maybe = np.flatnonzero(bits & 1)
        asked = keys[maybe]
        found = np.minimum(np.searchsorted(self._keys, asked), len(self._keys) - 1)
        hit = self._keys[found] == asked
        values[maybe[hit]] = self._values[found[hit]]
