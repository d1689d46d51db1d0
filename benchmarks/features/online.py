"""How fast the online executor takes events in and answers, and what its state weighs.

    python -m benchmarks.features.online [--items 100000] [--users 100000] [--events 400000]

Events of random users and items are folded in batches of 500, then one by one, each time with the
clock moved past them, so that every counter of the default set is right after every batch. Then the
features of slates of 100 candidates are read. Times are processor time of one core, since the clock
on the wall tells how busy a machine is. A loop of plain Python, timed in the same run, makes runs
comparable. The machine code of the loops is loaded beforehand. The last line is JSON.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from time import process_time

import numpy as np
from scipy import sparse

from features.arrays.clock import DAY, NO_TIME
from features.defaults import default_features
from features.log.catalogue import LoggedCatalogue
from features.online import state as online_state
from features.online.counters.keys import HashedKeys
from features.online.events import IncomingEvents
from features.online.executor import OnlineFeatures
from features.settings import FeatureSettings

KINDS = ("click", "purchase")
FIRST_DAY = 20_000
CATEGORIES = 200
BATCH, ONE_BY_ONE = 500, 10_000
SLATE, SLATES = 100, 1_000
NEIGHBOURS = 100
EVENTS_A_DAY = 100_000
LATE_US = 1_000
PURCHASES = 0.15
_DEFAULT = FeatureSettings()


def shop(
    items: int, rng: np.random.Generator, settings: FeatureSettings = _DEFAULT
) -> OnlineFeatures:
    """Give an executor of the default set, every item having met as many as are kept."""
    features = default_features(settings, KINDS, logged=True)
    always = np.full(items, NO_TIME)
    catalogue = LoggedCatalogue(
        [f"item-{place}" for place in range(items)],
        np.arange(items + 1),
        always,
        always,
        np.zeros(items, np.bool_),
        {"category": rng.integers(0, CATEGORIES, items).astype(np.int32)},
        {"category": [str(place) for place in range(CATEGORIES)]},
        np.log1p(rng.random(items) * 100),
        always,
    )
    online = OnlineFeatures.empty(catalogue, features, settings, KINDS, FIRST_DAY, DAY)
    met = sparse.random_array(
        (items, items),
        density=min(NEIGHBOURS / items, 1),
        format="csr",
        dtype=np.float32,
        rng=rng,
    )
    online.snapshot = replace(online.snapshot, together={"session": met, "user": met})
    return online


def some_events(
    count: int, first: int, start: int, users: int, items: int, rng: np.random.Generator
) -> IncomingEvents:
    """Give events of random users and items, evenly over time, known a millisecond late."""
    time = (start + np.arange(1, count + 1) * (DAY // EVENTS_A_DAY)).tolist()
    return IncomingEvents(
        [f"event-{first + place}" for place in range(count)],
        [KINDS[int(bought)] for bought in rng.random(count) < PURCHASES],
        [f"user-{user}" for user in rng.integers(0, users, count)],
        [f"item-{item}" for item in rng.integers(0, items, count)],
        [f"visit-{place // 4}" for place in range(count)],
        [None] * count,
        time,
        [each + LATE_US for each in time],
        [None] * count,
    )


def fold(online: OnlineFeatures, events: IncomingEvents, size: int) -> float:
    """Fold events in batches, the clock moved past each; give the seconds spent."""
    started = process_time()
    for low in range(0, len(events), size):
        batch = events.between(low, low + size)
        online.fold(batch)
        online.advance((batch.ingested[-1] or 0) + 1)
    return process_time() - started


def fold_with_arrays(online: OnlineFeatures, events: IncomingEvents) -> float:
    """Fold events one by one through the path of large batches; give the seconds spent."""
    few = online_state.FEW
    online_state.FEW = 0
    try:
        return fold(online, events, 1)
    finally:
        online_state.FEW = few


def read(online: OnlineFeatures, users: int, items: int, rng: np.random.Generator) -> np.ndarray:
    """Read slates of random users who have events; give the seconds of each."""
    known = list(online.users)
    spent = np.empty(SLATES)
    for place in range(SLATES):
        slate = [f"item-{item}" for item in rng.choice(items, SLATE, replace=False)]
        rows = online.rows(slate, known[int(rng.integers(len(known)))], online.clock, {})
        started = process_time()
        online.read(rows)
        spent[place] = process_time() - started
    return spent


def warm_up(users: int, items: int, rng: np.random.Generator) -> None:
    """Have the loops compiled or loaded, with a small shop that is thrown away."""
    online = shop(min(items, 1_000), rng)
    for size in (BATCH, 1):
        fold(
            online,
            some_events(BATCH, 0, online.clock, min(users, 100), min(items, 1_000), rng),
            size,
        )
    read(online, len(online.users), min(items, 1_000), rng)


def plain_python() -> float:
    """Give the seconds that 1,000 sums over a thousand numbers take, to tell machines apart."""
    return _spent(lambda: [sum(range(1_000)) for _ in range(1_000)])


def _spent(work: Callable[[], object]) -> float:
    started = process_time()
    work()
    return process_time() - started


def weight(online: OnlineFeatures, items: int) -> dict[str, float]:
    """Give the bytes of the state by what they grow with."""
    state = online.state
    users = max(len(state.users), 1)
    by_item = by_pair = pairs = tiles = 0
    by_user = state.history.bytes_used / users
    for key, table in state.tables.items():
        row = (table.totals.shape[1] + table.ends.shape[1]) * 8
        tiles += sum(
            deltas.rows.nbytes + deltas.amounts.nbytes
            for series in table.series.values()
            for each in series.tiles
            for deltas in each.tiles.values()
        )
        if isinstance(table.keys, HashedKeys):
            used = table.keys.rows_used
            pairs += used
            by_pair += used * row + table.keys.bytes_used
        elif key == ("user",):
            by_user += row
        elif key == ("item",):
            by_item += row
    return {
        "mb_per_million_items": by_item,
        "mb_per_million_users": by_user,
        "mb_per_million_pairs": by_pair / max(pairs, 1),
        "pairs_per_user": pairs / users,
        "mb_tiles": tiles / 1e6,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=400_000)
    asked = parser.parse_args()
    items, users = asked.items, asked.users
    rng = np.random.default_rng(0)
    online = shop(items, rng)
    # A first event of every user, so that all are known.
    start = FIRST_DAY * DAY
    every = some_events(asked.events, 0, start, users, items, rng)
    every = replace(every, user_id=[f"user-{place % users}" for place in range(asked.events)])
    warm_up(users, items, rng)
    in_batches = fold(online, every, BATCH)
    single = some_events(ONE_BY_ONE, asked.events, online.clock, users, items, rng)
    one_by_one = fold(online, single, 1)
    single = some_events(ONE_BY_ONE, asked.events + ONE_BY_ONE, online.clock, users, items, rng)
    with_arrays = fold_with_arrays(online, single)
    slates = read(online, users, items, rng)
    result = {
        "items": items,
        "users": len(online.users),
        "events": online.counts.counted,
        "features": len(online.features.names),
        "events_per_s_in_batches_of_500": round(asked.events / in_batches),
        "events_per_s_one_by_one": round(ONE_BY_ONE / one_by_one),
        "events_per_s_one_by_one_with_arrays": round(ONE_BY_ONE / with_arrays),
        "slate_of_100_ms_median": round(float(np.median(slates)) * 1e3, 3),
        "slate_of_100_ms_p90": round(float(np.quantile(slates, 0.9)) * 1e3, 3),
        "plain_python_1000_sums_of_1000_ms": round(plain_python() * 1e3, 1),
        **{name: round(value, 1) for name, value in weight(online, items).items()},
    }
    for name, value in result.items():
        print(f"{name}: {value:,}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
