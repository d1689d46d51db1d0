"""Slow aggregates recomputed at a cadence: co-visitation, repeat rates, and priors of rates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from features.arrays.compiled import compiled
from features.arrays.key_index import MISSING


@dataclass(frozen=True)
class Snapshot:
    """Aggregates over all users at a midnight.

    Attributes:
        day: Day number of that midnight; only events of earlier days are in.
        together: Co-visitation by how items met: `session` (one visit) or `user` (one user).
            float32 CSR [n_items, n_items] of shrunk cosines in 0..1, the strongest of each row,
            the diagonal empty.
        repeat_rate: float32 [n_items], smoothed share of an item's users who took it on a second
            day.
        repeat_days: float32 [n_items], mean days between two takings by one user; NaN when no
            user took it twice.
        shares: Share of all interactions each value of an attribute or tag had, float64 [n_values].
        rates: Overall rates that smoothed rates are drawn to, by name of the rate.

    Items and values are those that the log had named by the midnight: codes beyond are missing.
    """

    day: int
    together: Mapping[str, sparse.csr_array]
    repeat_rate: np.ndarray
    repeat_days: np.ndarray
    shares: Mapping[str, np.ndarray]
    rates: Mapping[str, float]

    def within(self, item: np.ndarray) -> np.ndarray:
        """Replace items that the log named after the midnight by `MISSING`."""
        return np.where(item < len(self.repeat_rate), item, item.dtype.type(MISSING))

    def strength(
        self, how: str, past: np.ndarray, item: np.ndarray, slots: np.ndarray | None = None
    ) -> np.ndarray:
        """Co-visitation of candidates with the items of one history.

        Walks over what the few past items met, which is quicker than to look up every pair.

        Args:
            how: How items met: `session` or `user`.
            past: int32 [k], the history, from `within`; `MISSING` met nothing.
            item: int32 [n], the candidates, from `within`; `MISSING` met nothing.
            slots: int32 [n_items + 1 or more] of -1, left so; a new array when absent.

        Returns:
            float32 [n, k] in the order of columns, 0 for pairs that never met.
        """
        together = self.together[how]
        # One slot more than there are items, so that an unknown candidate has its own.
        place = np.full(len(self.repeat_rate) + 1, -1, np.int32) if slots is None else slots
        place[item] = np.arange(len(item))
        strength = np.zeros((len(past), len(item)), np.float32)
        _meet(together.indptr, together.indices, together.data, past, item, place, strength)
        place[item] = -1
        return strength.T

    def strengths(
        self, how: str, past: np.ndarray, item: np.ndarray, offsets: np.ndarray
    ) -> np.ndarray:
        """Co-visitation as `strength` gives it, for many requests.

        Args:
            how: How items met: `session` or `user`.
            past: int32 [n_requests, k], the history of each request, from `within`; `MISSING` met
                nothing.
            item: int32 [n], the candidates, request by request, from `within`; `MISSING` met
                nothing.
            offsets: int64 [n_requests + 1], where the candidates of each request begin.

        Returns:
            float32 [n, k] in the order of columns, 0 for pairs that never met.
        """
        together = self.together[how]
        met = (together.indptr.astype(np.int64), together.indices, together.data)
        place = np.full(len(self.repeat_rate), -1, np.int32)
        # Copies: whatever the arrays are parts of, the loop is compiled for one form of them.
        return _meetings(*met, past.copy(), item.copy(), offsets, place).T


@dataclass(frozen=True)
class NamedSnapshot:
    """A snapshot with what its codes stand for, so that it can be read by other codes.

    Attributes:
        snapshot: The snapshot.
        item_ids: Identifier of each code of an item.
        values: By column, the value of each code.
    """

    snapshot: Snapshot
    item_ids: Sequence[str]
    values: Mapping[str, Sequence[str]]

    def coded(self, items: Mapping[str, int], values: Mapping[str, Mapping[str, int]]) -> Snapshot:
        """Give the snapshot by other codes.

        Args:
            items: Code of each item; items without one are left out.
            values: By column, the code of each value.

        Returns:
            The snapshot; it is the same one where the codes are.
        """
        item, own = _codes(self.item_ids, items), self.snapshot
        shares = {
            name: _moved(share, _codes(self.values[name], values[name]))
            for name, share in own.shares.items()
        }
        if np.array_equal(item, np.arange(len(item))):
            return replace(own, shares=shares)
        return replace(
            own,
            together={how: _renumbered(met, item) for how, met in own.together.items()},
            repeat_rate=_moved(own.repeat_rate, item),
            repeat_days=_moved(own.repeat_days, item),
            shares=shares,
        )


def _codes(names: Sequence[str], codes: Mapping[str, int]) -> np.ndarray:
    return np.array([codes.get(name, MISSING) for name in names], np.int64)


def _moved(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Bring values to other places, NaN where none comes to."""
    moved = np.full(codes.max(initial=MISSING) + 1, np.nan, values.dtype)
    moved[codes[codes >= 0]] = values[codes >= 0]
    return moved


def _renumbered(met: sparse.csr_array, codes: np.ndarray) -> sparse.csr_array:
    pairs, count = met.tocoo(), int(codes.max(initial=MISSING)) + 1
    row, column = codes[pairs.row], codes[pairs.col]
    kept = (row >= 0) & (column >= 0)
    there = (row[kept].astype(np.int32), column[kept].astype(np.int32))
    moved = sparse.csr_array((pairs.data[kept], there), shape=(count, count))
    moved.sort_indices()
    return moved


@compiled
def _meetings(
    indptr: np.ndarray,
    indices: np.ndarray,
    data: np.ndarray,
    past: np.ndarray,
    item: np.ndarray,
    offsets: np.ndarray,
    place: np.ndarray,
) -> np.ndarray:
    """Walk over what each request's past items met, float32 [k, n]; `place` is -1 per item."""
    strength = np.zeros((past.shape[1], len(item)), np.float32)
    for request in range(len(past)):
        low, high = offsets[request], offsets[request + 1]
        _mark(place, item[low:high], low, 1)
        for column in range(past.shape[1]):
            before = past[request, column]
            same = 0
            while past[request, same] != before:
                same += 1
            if same < column:
                strength[column, low:high] = strength[same, low:high]
            elif before >= 0:
                _take_met(indptr[before : before + 2], indices, data, place, strength[column])
        for row in range(low, high):
            # An item that is twice in the slate has its strength at its last place.
            if item[row] >= 0 and place[item[row]] != row:
                strength[:, row] = strength[:, place[item[row]]]
        _mark(place, item[low:high], -1, 0)
    return strength


@compiled
def _mark(place: np.ndarray, item: np.ndarray, first: int, step: int) -> None:
    """Number the places of some items."""
    for row in range(len(item)):
        if item[row] >= 0:
            place[item[row]] = first + step * row


@compiled
def _take_met(
    ends: np.ndarray,
    indices: np.ndarray,
    data: np.ndarray,
    place: np.ndarray,
    strength: np.ndarray,
) -> None:
    """Take what one item met, where it has a place."""
    for entry in range(ends[0], ends[1]):
        row = place[indices[entry]]
        if row >= 0:
            strength[row] = data[entry]


@compiled
def _meet(
    indptr: np.ndarray,
    indices: np.ndarray,
    data: np.ndarray,
    past: np.ndarray,
    item: np.ndarray,
    place: np.ndarray,
    strength: np.ndarray,
) -> None:
    """Set what the items of a history and the candidates have in common, float32 [k, n]."""
    for column in range(len(past)):
        if past[column] < 0:
            continue
        for entry in range(indptr[past[column]], indptr[past[column] + 1]):
            row = place[indices[entry]]
            if row >= 0:
                strength[column, row] = data[entry]
    for row in range(len(item)):
        # An item that is twice in the slate has its values at its last place.
        own = place[item[row]]
        if own != row:
            strength[:, row] = strength[:, own]
