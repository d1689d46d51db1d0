"""Computation of a snapshot from the interactions of its window."""

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from features.arrays.clock import DAY
from features.arrays.compiled import compiled
from features.arrays.key_index import MISSING
from features.log.events import SESSION, Events
from features.snapshots.co_visitation import SHRINK, co_visitation
from features.snapshots.snapshot import Snapshot


def snapshot(
    events: Events,
    day: int,
    attributes: Mapping[str, tuple[np.ndarray, int]],
    n_items: int,
    neighbours: int,
    rates: Mapping[str, float],
) -> Snapshot:
    """Compute a snapshot from the interactions of its window.

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


def _repeats(taken: Events, n_items: int) -> tuple[np.ndarray, np.ndarray]:
    """Give each item's smoothed repeat rate and its mean days between two takings by one user."""
    known = taken.user >= 0
    pair = taken.user[known].astype(np.int64) * n_items + taken.item[known]
    day = taken.time[known] // DAY
    order = _by_pair(pair, day)
    users, repeaters, times, total = _takings(pair[order], day[order], n_items)
    prior = repeaters.sum() / max(users.sum(), 1)
    rate = (repeaters + SHRINK * prior) / (users + SHRINK)
    days = np.divide(total, times, out=np.full(n_items, np.nan), where=times > 0)
    return rate.astype(np.float32), days.astype(np.float32)


def _by_pair(pair: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Sort by pair, then day; events are by day already, but for late ones."""
    if (day[1:] >= day[:-1]).all():
        return np.argsort(pair, kind="stable")
    return np.lexsort((day, pair))


@compiled
def _takings(
    pair: np.ndarray, day: np.ndarray, n_items: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Count, per item, on how many days each user took it.

    Args:
        pair: int64 [n], user and item as one number, ascending.
        day: int64 [n], ascending within a pair.
        n_items: Size of the catalogue.

    Returns:
        Users, users of a second day, takings after a user's first, days between two takings in all;
        int64 [n_items] each.
    """
    users, repeaters = np.zeros(n_items, np.int64), np.zeros(n_items, np.int64)
    times, total = np.zeros(n_items, np.int64), np.zeros(n_items, np.int64)
    low = 0
    while low < len(pair):
        high = low
        while high < len(pair) and pair[high] == pair[low]:
            high += 1
        item = pair[low] % n_items
        again = 0
        for place in range(low + 1, high):
            again += day[place] != day[place - 1]
        users[item] += 1
        repeaters[item] += again > 0
        times[item] += again
        total[item] += day[high - 1] - day[low]
        low = high
    return users, repeaters, times, total


def empty_snapshot(
    day: int, n_items: int, values: Mapping[str, int], rates: Mapping[str, float]
) -> Snapshot:
    """Snapshot before the first event: no co-visitation, every share alike."""
    none = sparse.csr_array((n_items, n_items), dtype=np.float32)
    return Snapshot(
        day,
        {"session": none, "user": none},
        np.zeros(n_items, np.float32),
        np.full(n_items, np.nan, np.float32),
        {name: np.full(count, 1 / max(count, 1)) for name, count in values.items()},
        dict(rates),
    )
