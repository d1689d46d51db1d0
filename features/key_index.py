"""Rows of keys in growing arrays: a key keeps its row, whatever keys come after it."""

import numpy as np

_YOUNG = 50_000
_SHARE = 8


class KeyIndex:
    """Finds the row of a key.

    Sorted keys with their rows, and a small sorted part for the newest ones, which is merged when
    it has grown to a part of the whole: so adding costs little, however many keys there are. Small
    codes have a table instead.

    Args:
        codes: int64 [n_keys], the keys of the rows, in any order.
        dense: Whether codes are small numbers, each the place in a dictionary.
    """

    def __init__(self, codes: np.ndarray, *, dense: bool) -> None:
        self._dense = dense
        self._count = len(codes)
        self._table = np.zeros(0, np.int32)
        self._codes = self._young = self._rows = self._young_rows = np.zeros(0, np.int64)
        if dense:
            self._enter(codes, np.arange(len(codes)))
        else:
            order = np.argsort(codes, kind="stable")
            self._codes, self._rows = codes[order], order

    def find(self, codes: np.ndarray) -> np.ndarray:
        """Give the row of each key, int64 [n]; -1 for keys that are not there."""
        if self._dense:
            return self._look_up(codes)
        rows = _search(self._codes, self._rows, codes)
        if len(self._young):
            absent = np.flatnonzero(rows < 0)
            rows[absent] = _search(self._young, self._young_rows, codes[absent])
        return rows

    def add(self, codes: np.ndarray) -> None:
        """Give the next rows to keys that are not there.

        Args:
            codes: int64 [n], ascending.
        """
        rows = np.arange(self._count, self._count + len(codes))
        self._count += len(codes)
        if self._dense:
            self._enter(codes, rows)
            return
        self._young, self._young_rows = _merge(self._young, self._young_rows, codes, rows)
        if len(self._young) > max(len(self._codes) // _SHARE, _YOUNG):
            self._codes, self._rows = _merge(self._codes, self._rows, self._young, self._young_rows)
            self._young = self._young_rows = np.zeros(0, np.int64)

    def _look_up(self, codes: np.ndarray) -> np.ndarray:
        if not len(self._table):
            return np.full(len(codes), -1)
        # The last place is never a key's: there look codes beyond the table, and missing ones.
        rows: np.ndarray = self._table[np.minimum(codes, len(self._table) - 1)]
        return rows.astype(np.int64)

    def _enter(self, codes: np.ndarray, rows: np.ndarray) -> None:
        if not len(codes):
            return
        need = int(codes.max()) + 2
        if need > len(self._table):
            grown = np.full(need + need // 4, -1, np.int32)
            grown[: max(len(self._table) - 1, 0)] = self._table[:-1]
            self._table = grown
        self._table[codes] = rows


def _search(keys: np.ndarray, rows: np.ndarray, codes: np.ndarray) -> np.ndarray:
    if not len(keys):
        return np.full(len(codes), -1)
    place = np.minimum(np.searchsorted(keys, codes), len(keys) - 1)
    return np.where(keys[place] == codes, rows[place], -1)


def _merge(
    keys: np.ndarray, rows: np.ndarray, new_keys: np.ndarray, new_rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Merge two sorted parts; the sort of two ascending runs is a merge."""
    both = np.concatenate([keys, new_keys])
    order = np.argsort(both, kind="stable")
    return both[order], np.concatenate([rows, new_rows])[order]


def grown(values: np.ndarray, count: int, fill: int) -> np.ndarray:
    """Give an array with room for more rows, of which the new ones hold `fill`.

    Args:
        values: int64 [n, ...].
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
