"""Which row of a table belongs to a key: by arithmetic for one part, by a hash table for a pair.

Row 0 stands for keys without events and is never written, so that a look-up needs no correction.
"""

from typing import Protocol

import numpy as np

from features.catalogue import MISSING

BUCKET = 8
"""Keys of a bucket: one cache line, compared at once."""
_MIX = np.uint64(0x9E3779B97F4A7C15)
_MIX_INT = int(_MIX)
_LOW_BITS = (1 << 64) - 1
_LEAST_BITS = 4
_EMPTY = MISSING


class Keys(Protocol):
    """What gives keys their rows; a row is 1 or more, 0 for a key that has none."""

    @property
    def rows_used(self) -> int:
        """Rows given so far, row 0 included."""
        ...

    def find(self, codes: np.ndarray) -> np.ndarray:
        """Give the row of each key, int64 [n]; 0 for keys without one."""
        ...

    def find_one(self, code: int) -> int:
        """Give the row of a key, 0 when it has none."""
        ...

    def add(self, codes: np.ndarray) -> np.ndarray:
        """Give the row of each key, int64 [n], and one to those that have none."""
        ...

    def add_one(self, code: int) -> int:
        """Give the row of a key, a new one when it has none."""
        ...


class PlainKeys:
    """Rows of keys with one part: the code and one."""

    def __init__(self, rows_used: int = 1) -> None:
        self.rows_used = rows_used

    def find(self, codes: np.ndarray) -> np.ndarray:
        """Give the row of each key, int64 [n]; 0 for keys without one."""
        rows = codes.astype(np.int64) + 1
        rows[rows >= self.rows_used] = 0
        return rows

    def find_one(self, code: int) -> int:
        """Give the row of a key, 0 when it has none."""
        return code + 1 if code + 1 < self.rows_used else 0

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
    """Rows of keys of 64 bits: a hash table of buckets, at most half full.

    A key lies in the bucket its hash says, or in the first one after it that had room; buckets
    only ever gain keys, so a search may end at the first bucket that is not full.
    """

    def __init__(self, codes: np.ndarray | None = None) -> None:
        self._codes = np.full(1, _EMPTY, np.int64)
        self.rows_used = 1
        self._allot(_LEAST_BITS)
        if codes is not None and len(codes):
            self.add(codes)

    def _allot(self, bits: int) -> None:
        self._shift = 64 - bits
        self._keys = np.full((1 << bits, BUCKET), _EMPTY, np.int64)
        self._rows = np.zeros((1 << bits, BUCKET), np.int32)
        self._filled = np.zeros(1 << bits, np.int64)

    @property
    def codes(self) -> np.ndarray:
        """The keys in the order of their rows, from row 1 on, int64 [rows_used - 1]."""
        return self._codes[1 : self.rows_used]

    @property
    def bytes_used(self) -> int:
        """Memory of the table, in bytes."""
        return sum(a.nbytes for a in (self._codes, self._keys, self._rows, self._filled))

    def find(self, codes: np.ndarray) -> np.ndarray:
        """Give the row of each key, int64 [n]; 0 for keys without one, and for `MISSING`."""
        bucket = self._bucket(codes)
        keys = self._keys.take(bucket, axis=0)
        hit = np.flatnonzero(keys == codes[:, None])
        place = hit // BUCKET
        rows = np.zeros(len(codes), np.int64)
        rows[place] = self._rows.reshape(-1)[bucket[place] * BUCKET + hit % BUCKET]
        is_full = keys[:, -1] != _EMPTY
        if is_full.any():
            for at in np.flatnonzero(is_full & (rows == 0)).tolist():
                rows[at] = self.find_one(int(codes[at]))
        return rows

    def find_one(self, code: int) -> int:
        """Give the row of a key, 0 when it has none."""
        if code == MISSING:
            return 0
        bucket = self._bucket_of(code)
        while True:
            keys = self._keys[bucket].tolist()
            if code in keys:
                return int(self._rows[bucket, keys.index(code)])
            if keys[-1] == _EMPTY:
                return 0
            bucket = (bucket + 1) % len(self._filled)

    def add(self, codes: np.ndarray) -> np.ndarray:
        """Give the row of each key, int64 [n], and one to those that have none.

        Args:
            codes: int64 [n], none of them `MISSING`.

        Returns:
            The rows; new ones in the order in which their keys stand first.
        """
        rows = self.find(codes)
        missing = np.flatnonzero(rows == 0)
        if len(missing):
            new, first, which = np.unique(codes[missing], return_index=True, return_inverse=True)
            order = np.argsort(first)
            given = np.empty(len(new), np.int64)
            given[order] = self.rows_used + np.arange(len(new))
            self._append(new[order])
            rows[missing] = given[which]
        return rows

    def add_one(self, code: int) -> int:
        """Give the row of a key, a new one when it has none."""
        row = self.find_one(code)
        if row:
            return row
        row = self.rows_used
        if row == len(self._codes) or 2 * row + 2 > self._keys.size:
            self._append(np.array([code], np.int64))
            return row
        self._codes[row] = code
        self.rows_used = row + 1
        bucket = self._bucket_of(code)
        while (slot := int(self._filled[bucket])) == BUCKET:
            bucket = (bucket + 1) % len(self._filled)
        self._keys[bucket, slot] = code
        self._rows[bucket, slot] = row
        self._filled[bucket] = slot + 1
        return row

    def _append(self, new: np.ndarray) -> None:
        first, end = self.rows_used, self.rows_used + len(new)
        if end > len(self._codes):
            longer = np.full(max(2 * len(self._codes), end), _EMPTY, np.int64)
            longer[:first] = self._codes[:first]
            self._codes = longer
        self._codes[first:end] = new
        self.rows_used = end
        if 2 * end > self._keys.size:
            self._allot((4 * end // BUCKET - 1).bit_length())
            first = 1
        self._place(self._codes[first:end], np.arange(first, end))

    def _place(self, codes: np.ndarray, rows: np.ndarray) -> None:
        """Put keys into their buckets, or into the next ones with room."""
        bucket = self._bucket(codes)
        while len(codes):
            order = np.argsort(bucket, kind="stable")
            codes, rows, bucket = codes[order], rows[order], bucket[order]
            rank = np.arange(len(bucket)) - np.searchsorted(bucket, bucket)
            slot = self._filled[bucket] + rank
            fits = slot < BUCKET
            self._keys[bucket[fits], slot[fits]] = codes[fits]
            self._rows[bucket[fits], slot[fits]] = rows[fits]
            np.add.at(self._filled, bucket[fits], 1)
            rest = ~fits
            codes, rows = codes[rest], rows[rest]
            bucket = (bucket[rest] + 1) % len(self._filled)

    def _bucket(self, codes: np.ndarray) -> np.ndarray:
        mixed = (codes.view(np.uint64) * _MIX) >> np.uint64(self._shift)
        return mixed.view(np.int64)

    def _bucket_of(self, code: int) -> int:
        return (((code & _LOW_BITS) * _MIX_INT) & _LOW_BITS) >> self._shift
