"""Co-visitation: how often two items share a visit or a user, against their popularity."""

import numpy as np
from scipy import sparse

from features.arrays.compiled import compiled

SHRINK = 5.0
"""Added to every count, so that what happened once says little."""

_ITEMS_PER_GROUP = 200


def co_visitation(
    group: np.ndarray, item: np.ndarray, n_items: int, neighbours: int
) -> sparse.csr_array:
    """Co-visitation of items: how often two share a group, against their popularity.

    The measure is a cosine shrunk towards nought for rare items: n_ij / sqrt((n_i + 5)(n_j + 5)).
    Of a group's items the last 200 count, so that one huge group cannot decide everything.

    Args:
        group: int [n_events], the visit or user; negative is ignored.
        item: int32 [n_events], in order of time; negative is ignored.
        n_items: Size of the catalogue.
        neighbours: The strongest kept per item; ties go to the earlier item.

    Returns:
        float32 [n_items, n_items], rows sorted by column, the diagonal empty.
    """
    known = np.flatnonzero((group >= 0) & (item >= 0))
    known = known[np.argsort(group[known], kind="stable")]
    starts, members = _last_items(
        group[known].astype(np.int64), item[known].astype(np.int32), n_items, _ITEMS_PER_GROUP
    )
    places, groups = _groups_of(starts, members, n_items)
    counts = np.diff(places).astype(np.float32)
    weight = 1 / np.sqrt(counts + np.float32(SHRINK))
    indptr, indices, data = _strongest(starts, members, places, groups, weight, neighbours)
    met = sparse.csr_array((data, indices, indptr), shape=(n_items, n_items))
    met.sort_indices()
    return met


@compiled
def _last_items(
    group: np.ndarray, item: np.ndarray, n_items: int, limit: int
) -> tuple[np.ndarray, np.ndarray]:
    """List the last different items of each group, the last one first.

    Args:
        group: int64 [n], ascending.
        item: int32 [n], in order of time within a group.
        n_items: Size of the catalogue.
        limit: Items of a group at the most.

    Returns:
        Where each group's items begin, int64 [n_groups + 1], and the items, int32.
    """
    count = len(group)
    members = np.empty(count, np.int32)
    starts = np.empty(count + 1, np.int64)
    seen = np.full(n_items, -1, np.int64)
    groups = used = low = 0
    while low < count:
        high = low
        while high < count and group[high] == group[low]:
            high += 1
        starts[groups] = used
        for event in range(high - 1, low - 1, -1):
            one = item[event]
            if seen[one] != groups and used - starts[groups] < limit:
                seen[one] = groups
                members[used] = one
                used += 1
        groups += 1
        low = high
    starts[groups] = used
    return starts[: groups + 1].copy(), members[:used].copy()


@compiled
def _groups_of(
    starts: np.ndarray, members: np.ndarray, n_items: int
) -> tuple[np.ndarray, np.ndarray]:
    """List the groups of each item: where they begin, int64 [n_items + 1], and they, int32."""
    places = np.zeros(n_items + 1, np.int64)
    for one in members:
        places[one + 1] += 1
    for item in range(n_items):
        places[item + 1] += places[item]
    free = places[:-1].copy()
    groups = np.empty(len(members), np.int32)
    for group in range(len(starts) - 1):
        for place in range(starts[group], starts[group + 1]):
            one = members[place]
            groups[free[one]] = group
            free[one] += 1
    return places, groups


@compiled
def _strongest(
    starts: np.ndarray,
    members: np.ndarray,
    places: np.ndarray,
    groups: np.ndarray,
    weight: np.ndarray,
    keep: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Add up each item's meetings with all others, and keep the strongest.

    Args:
        starts: int64 [n_groups + 1], where each group's items begin.
        members: int32, the items of the groups.
        places: int64 [n_items + 1], where each item's groups begin.
        groups: int32, the groups of the items.
        weight: float32 [n_items], what an item brings to each meeting.
        keep: Others kept per item.

    Returns:
        The CSR arrays, each row in any order: int64 [n_items + 1], int32 and float32 [n_kept].
    """
    n_items = len(weight)
    room = 0
    for item in range(n_items):
        others = 0
        for place in range(places[item], places[item + 1]):
            others += starts[groups[place] + 1] - starts[groups[place]] - 1
        room += min(others, keep)
    indptr = np.zeros(n_items + 1, np.int64)
    indices, data = np.empty(room, np.int32), np.empty(room, np.float32)
    strength = np.zeros(n_items, np.float32)
    met = np.empty(n_items + 1, np.int32)
    best = np.empty(keep, np.int32)
    for item in range(n_items):
        count = 0
        for place in range(places[item], places[item + 1]):
            group = groups[place]
            for member in range(starts[group], starts[group + 1]):
                other = members[member]
                # Without a branch, which the processor would guess wrong half of the time.
                met[count] = other
                count += strength[other] == 0
                strength[other] += weight[item] * weight[other]
        strength[item] = 0
        kept = _choose(met[:count], strength, best)
        low = indptr[item]
        for place in range(kept):
            indices[low + place] = best[place]
            data[low + place] = strength[best[place]]
        indptr[item + 1] = low + kept
        for place in range(count):
            strength[met[place]] = 0
    used = indptr[n_items]
    return indptr, indices[:used].copy(), data[:used].copy()


@compiled
def _choose(met: np.ndarray, strength: np.ndarray, best: np.ndarray) -> int:
    """Find the strongest; of equal ones the earlier.

    `best` is a heap whose root is the weakest kept, so that most are rejected after one comparison.

    Args:
        met: int32 [n], the candidates; those without strength are ignored.
        strength: float32 [n_items].
        best: int32 [keep], receives the chosen in any order.

    Returns:
        How many were chosen.
    """
    kept, keep = 0, len(best)
    least = np.float32(0)
    for one in met:
        if strength[one] <= 0 or strength[one] < least:
            continue
        if kept < keep:
            child = kept
            kept += 1
            while child and _is_weaker(one, best[(child - 1) // 2], strength):
                best[child] = best[(child - 1) // 2]
                child = (child - 1) // 2
            best[child] = one
            least = strength[best[0]] if kept == keep else least
        elif keep and _is_weaker(best[0], one, strength):
            parent = 0
            while 2 * parent + 1 < keep:
                child = 2 * parent + 1
                if child + 1 < keep and _is_weaker(best[child + 1], best[child], strength):
                    child += 1
                if not _is_weaker(best[child], one, strength):
                    break
                best[parent] = best[child]
                parent = child
            best[parent] = one
            least = strength[best[0]]
    return kept


@compiled
def _is_weaker(one: int, other: int, strength: np.ndarray) -> bool:
    return strength[one] < strength[other] or (strength[one] == strength[other] and one > other)
