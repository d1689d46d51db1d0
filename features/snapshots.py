"""Slow aggregates taken at a cadence: co-visitation, repeat rates, and the priors of rates."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from features.catalogue import MISSING
from features.clock import DAY
from features.compiled import compiled
from features.log import SESSION, Events
from features.pair_table import PairTable

_ITEMS_PER_GROUP = 200
_SHRINK = 5.0
_BLOCK = 1024
_FLOAT_BITS = 31
_FLOAT_MASK = (1 << _FLOAT_BITS) - 1


@dataclass(frozen=True)
class Snapshot:
    """What was known of the items as of a midnight.

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
    _tables: dict[str, PairTable] = field(default_factory=dict, compare=False, repr=False)

    def strength(
        self, how: str, past: np.ndarray, item: np.ndarray, place: np.ndarray | None = None
    ) -> np.ndarray:
        """Give the co-visitation of candidates with the items of one history.

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
        """Give the place of each item among candidates, int32 [n_items + 1]; -1 for others.

        There is one place more than there are items, so that an unknown candidate has its own.
        """
        place = np.full(len(self.repeat_rate) + 1, -1, np.int32)
        place[item] = np.arange(len(item))
        return place

    def strengths(self, how: str, past: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Give the same for many histories, looking each pair up.

        Args:
            how: How items met: `session` or `user`.
            past: int32 [n, k], the history of each candidate's request.
            item: int32 [n], the candidates.

        Returns:
            float32 [n, k], 0 for pairs that never met.
        """
        if how not in self._tables:
            self._tables[how] = PairTable(self.together[how])
        return self._tables[how].look_up(past, item)


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
        # An item that stands twice has its values at its last place.
        own = place[item[row]]
        if own != row:
            strength[:, row] = strength[:, own]


def snapshot(
    events: Events,
    day: int,
    attributes: Mapping[str, tuple[np.ndarray, int]],
    n_items: int,
    neighbours: int,
    rates: Mapping[str, float],
) -> Snapshot:
    """Take a snapshot from the interactions of its window.

    Args:
        events: Interactions before `day`, in order of time.
        day: Day number of the snapshot.
        attributes: Per attribute, the code of each item and the number of values.
        n_items: Size of the catalogue.
        neighbours: Co-visited items kept per item.
        rates: Overall rates as of the day.

    Returns:
        The snapshot.
    """
    session = events.kinds.index(SESSION) if SESSION in events.kinds else MISSING
    taken = events.take(np.flatnonzero((events.kind != session) & (events.item >= 0)))
    together = {
        "session": co_visitation(taken.session, taken.item, n_items, neighbours),
        "user": co_visitation(taken.user, taken.item, n_items, neighbours),
    }
    rate, days = _repeats(taken, n_items)
    shares = {}
    for name, (codes, n_values) in attributes.items():
        seen = codes[taken.item]
        counts = np.bincount(seen[seen >= 0], minlength=n_values)
        shares[name] = (counts + 1.0) / (len(seen) + max(n_values, 1))
    return Snapshot(day, together, rate, days, shares, dict(rates))


def co_visitation(
    group: np.ndarray, item: np.ndarray, n_items: int, neighbours: int
) -> sparse.csr_array:
    """Say how often two items meet in one group, beyond how often each is met at all.

    The measure is a cosine shrunk towards nought for rare items: n_ij / sqrt((n_i + 5)(n_j + 5)).
    Of a group's items the last 200 count, so that one huge group cannot decide everything.

    Args:
        group: int [n_events], the visit or user; negative is passed by.
        item: int32 [n_events], in order of time; negative is passed by.
        n_items: Size of the catalogue.
        neighbours: The strongest kept per item; ties go to the earlier item.

    Returns:
        float32 [n_items, n_items], rows sorted by column, the diagonal empty.
    """
    member = _members(group, item, n_items)
    counts = np.asarray(member.sum(axis=0)).ravel()
    weight = sparse.diags_array(1 / np.sqrt(counts + _SHRINK), dtype=np.float32)
    scaled = (member @ weight).tocsr().astype(np.float32)
    transposed = scaled.T.tocsr()
    blocks = [
        _strongest((transposed[low : low + _BLOCK] @ scaled).tocsr(), low, neighbours)
        for low in range(0, max(n_items, 1), _BLOCK)
    ]
    stacked = sparse.csr_array(sparse.vstack(blocks, format="csr"))
    stacked.sort_indices()
    return stacked


def _members(group: np.ndarray, item: np.ndarray, n_items: int) -> sparse.csr_array:
    """Mark which items each group has, float32 [n_groups, n_items] of ones."""
    known = np.flatnonzero((group >= 0) & (item >= 0))[::-1]
    pairs = group[known].astype(np.int64) * n_items + item[known]
    unique, newest = np.unique(pairs, return_index=True)
    by_group = np.lexsort((newest, unique // n_items))
    groups = (unique // n_items)[by_group]
    starts = np.searchsorted(groups, groups)
    kept = by_group[np.arange(len(groups)) - starts < _ITEMS_PER_GROUP]
    _, rows = np.unique(unique[kept] // n_items, return_inverse=True)
    shape = (int(rows.max(initial=-1)) + 1, n_items)
    ones = np.ones(len(kept), np.float32)
    return sparse.csr_array((ones, (rows, unique[kept] % n_items)), shape=shape)


def _strongest(block: sparse.csr_array, first_row: int, keep: int) -> sparse.csr_array:
    """Keep the strongest entries of each row, off the diagonal; ties go to the earlier column.

    Row, inverted strength and column are packed into one integer, so that one plain sort orders
    all: the bits of a positive float32 sort as the number does.
    """
    coo = block.tocoo()
    off = coo.coords[0] + first_row != coo.coords[1]
    rows, columns = (axis[off].astype(np.int64) for axis in coo.coords)
    column_bits = max(int(block.shape[1]) - 1, 1).bit_length()
    inverted = _FLOAT_MASK - coo.data[off].view(np.int32).astype(np.int64)
    packed = np.sort((((rows << _FLOAT_BITS) | inverted) << column_bits) | columns)
    rows = packed >> (_FLOAT_BITS + column_bits)
    packed = packed[np.arange(len(rows)) - np.searchsorted(rows, rows) < keep]
    rows = packed >> (_FLOAT_BITS + column_bits)
    values = (_FLOAT_MASK - ((packed >> column_bits) & _FLOAT_MASK)).astype(np.int32)
    columns = packed & ((1 << column_bits) - 1)
    return sparse.csr_array((values.view(np.float32), (rows, columns)), shape=block.shape)


def _repeats(taken: Events, n_items: int) -> tuple[np.ndarray, np.ndarray]:
    """Give each item's smoothed repeat rate and its mean days between two takings by one user."""
    known = taken.user >= 0
    user, item = taken.user[known].astype(np.int64), taken.item[known].astype(np.int64)
    day = taken.time[known] // DAY
    visits = np.unique(np.stack([user * n_items + item, day]), axis=1)
    pair, when = visits
    again = np.append(False, pair[1:] == pair[:-1])[: len(pair)]
    pair_item = pair % n_items
    users = np.bincount(pair_item[~again], minlength=n_items)
    returned = np.append(again[1:], False)[: len(pair)] & ~again
    repeaters = np.bincount(pair_item[returned], minlength=n_items)
    gaps = np.diff(when, prepend=0)[again]
    total = np.bincount(pair_item[again], weights=gaps, minlength=n_items)
    times = np.bincount(pair_item[again], minlength=n_items)
    prior = repeaters.sum() / max(users.sum(), 1)
    rate = (repeaters + _SHRINK * prior) / (users + _SHRINK)
    days = np.divide(total, times, out=np.full(n_items, np.nan), where=times > 0)
    return rate.astype(np.float32), days.astype(np.float32)


def empty_snapshot(
    day: int, n_items: int, values: Mapping[str, int], rates: Mapping[str, float]
) -> Snapshot:
    """Give the snapshot of a log that has not begun: nothing met, every share alike."""
    none = sparse.csr_array((n_items, n_items), dtype=np.float32)
    return Snapshot(
        day,
        {"session": none, "user": none},
        np.zeros(n_items, np.float32),
        np.full(n_items, np.nan, np.float32),
        {name: np.full(count, 1 / max(count, 1)) for name, count in values.items()},
        dict(rates),
    )
