"""Slow aggregates recomputed at a cadence: co-visitation, repeat rates, and priors of rates."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from features.arrays.compiled import compiled


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
        shares: Share of all interactions each value of an attribute had, float64 [n_values].
        rates: Overall rates that smoothed rates are drawn to, by name of the rate.
    """

    day: int
    together: Mapping[str, sparse.csr_array]
    repeat_rate: np.ndarray
    repeat_days: np.ndarray
    shares: Mapping[str, np.ndarray]
    rates: Mapping[str, float]

    def strength(
        self, how: str, past: np.ndarray, item: np.ndarray, place: np.ndarray | None = None
    ) -> np.ndarray:
        """Co-visitation of candidates with the items of one history.

        Walks over what the few past items met, which is quicker than to look up every pair.

        Args:
            how: How items met: `session` or `user`.
            past: int32 [k], the history; `MISSING` met nothing.
            item: int32 [n], the candidates; `MISSING` met nothing.
            place: What `places` gave for the candidates, when it is at hand.

        Returns:
            float32 [n, k] in the order of columns, 0 for pairs that never met.
        """
        together = self.together[how]
        place = self.places(item) if place is None else place
        strength = np.zeros((len(past), len(item)), np.float32)
        _meet(together.indptr, together.indices, together.data, past, item, place, strength)
        return strength.T

    def places(self, item: np.ndarray) -> np.ndarray:
        """Place of each item among candidates, int32 [n_items + 1]; -1 for others.

        There is one place more than there are items, so that an unknown candidate has its own.
        """
        place = np.full(len(self.repeat_rate) + 1, -1, np.int32)
        place[item] = np.arange(len(item))
        return place

    def strengths(
        self, how: str, past: np.ndarray, item: np.ndarray, offsets: np.ndarray
    ) -> np.ndarray:
        """Co-visitation as `strength` gives it, for many requests.

        Args:
            how: How items met: `session` or `user`.
            past: int32 [n_requests, k], the history of each request; `MISSING` met nothing.
            item: int32 [n], the candidates, request by request; `MISSING` met nothing.
            offsets: int64 [n_requests + 1], where the candidates of each request begin.

        Returns:
            float32 [n, k] in the order of columns, 0 for pairs that never met.
        """
        together = self.together[how]
        met = (together.indptr.astype(np.int64), together.indices, together.data)
        place = np.full(len(self.repeat_rate), -1, np.int32)
        # Copies: whatever the arrays are parts of, the loop is compiled for one form of them.
        return _meetings(*met, past.copy(), item.copy(), offsets, place).T


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
