"""Computation of a snapshot from the interactions of its window."""

from collections.abc import Mapping, Sequence

import numpy as np

from features.arrays.clock import DAY
from features.arrays.compiled import compiled
from features.arrays.key_index import MISSING
from features.arrays.look_up import look_up
from features.log.catalogue import LoggedCatalogue
from features.log.events import SESSION, Events, without_sessions
from features.snapshots.co_visitation import SHRINK, co_visitation
from features.snapshots.snapshot import Snapshot


def snapshot(
    events: Events,
    day: int,
    catalogue: LoggedCatalogue,
    columns: Sequence[str],
    n_items: int,
    neighbours: int,
    rates: Mapping[str, float],
) -> Snapshot:
    """Compute a snapshot from the interactions of its window.

    Args:
        events: Interactions before `day`, in order of time.
        day: Day number of the snapshot.
        catalogue: The versions of the items.
        columns: Its columns whose values' shares are taken.
        n_items: Items that the log had named by the day.
        neighbours: Co-visited items kept per item.
        rates: Overall rates as of the day.

    Returns:
        The snapshot.
    """
    taken = without_sessions(events)
    taken = taken.take(np.flatnonzero(taken.item >= 0))
    together = {
        "session": co_visitation(taken.session, taken.item, n_items, neighbours),
        "user": co_visitation(taken.user, taken.item, n_items, neighbours),
    }
    rate, days = _repeats(taken, n_items)
    version = catalogue.versions(taken.item, taken.known + 1)
    shares = {name: _shares(catalogue, name, version, day) for name in columns}
    return Snapshot(day, together, rate, days, shares, dict(rates))


def _shares(catalogue: LoggedCatalogue, name: str, version: np.ndarray, day: int) -> np.ndarray:
    """Give each value's share of the interactions, one added to each and one for all others.

    So a value that nobody has met yet changes no other's share.
    """
    count = catalogue.values_known_by(name, day * DAY)
    if name in catalogue.lists:
        _, seen = catalogue.lists[name].of_versions(version)
    else:
        seen = look_up(catalogue.attributes[name], version, MISSING)
    counts = np.bincount(seen[seen >= 0], minlength=count)
    return (counts + 1.0) / (len(version) + np.count_nonzero(counts) + 1)


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
        n_items: Items there are.

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
    day: int,
    catalogue: LoggedCatalogue,
    columns: Sequence[str],
    n_items: int,
    rates: Mapping[str, float],
) -> Snapshot:
    """Snapshot before the first event: no co-visitation, every share alike."""
    return snapshot(Events.none((SESSION,)), day, catalogue, columns, n_items, 1, rates)
