"""What a user weighs in the online state, and a request's history in training, by events.

    python -m benchmarks.features.memory [--history 300]

Users of 1, 10 and 300 events each, every event with an item of its own and in a visit of its own,
are folded into the state of a shop with the default set of features. Bytes are those of all arrays
as they are allotted, free places included, and of the users' identifiers; what the shop weighs
without users is counted too, and is little beside many users. Then each user makes a request, and
the histories that a training holds for these are weighed. The last line is JSON.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from sys import getsizeof

import numpy as np

from benchmarks.features.online import BATCH, KINDS, PURCHASES, fold, shop, some_events
from features.arrays.clock import DAY
from features.arrays.key_index import MISSING
from features.log.events import Events
from features.log.history import History, last_interactions
from features.online.counters.keys import HashedKeys
from features.online.counters.table import CounterTable
from features.online.executor import OnlineFeatures
from features.settings import FeatureSettings

ITEMS = 2_000
HISTORY = 300
USERS_BY_EVENTS = {1: 20_000, 10: 4_000, 300: 200}


def bytes_a_user(users: int, events: int, settings: FeatureSettings) -> Mapping[str, float]:
    """Weigh the state of users with so many events each.

    Args:
        users: Their number.
        events: Of each.
        settings: Windows, attributes and length of the history.

    Returns:
        Bytes a user by part of the state, and `all` of them.
    """
    rng = np.random.default_rng(0)
    online = shop(ITEMS, rng, settings)
    count = users * events
    folded = some_events(count, 0, online.clock, users, ITEMS, rng)
    folded = replace(
        folded,
        user_id=[f"user-{place % users}" for place in range(count)],
        item_id=[f"item-{(place + place // users) % ITEMS}" for place in range(count)],
        session_id=[f"visit-{place}" for place in range(count)],
    )
    fold(online, folded, BATCH)
    parts = {name: value / users for name, value in _bytes_of(online).items()}
    return {**parts, "all": sum(parts.values())}


def _bytes_of(online: OnlineFeatures) -> dict[str, int]:
    state = online.state
    known = state.users
    return {
        "history": state.history.bytes_used,
        "counters": sum(_bytes_of_table(table) for table in state.tables.values()),
        "seen_events_and_visits": sum(
            keys.bytes_used for seen in (state.ids, state.visits) for keys in seen.days.values()
        ),
        "identifiers": sum(getsizeof(part) for part in (known.codes, known.ids, *known.codes))
        + known.seen.nbytes,
    }


def _bytes_of_table(table: CounterTable) -> int:
    deltas = [
        each
        for series in table.series.values()
        for tiles in series.tiles
        for each in tiles.tiles.values()
    ]
    index = table.keys.bytes_used if isinstance(table.keys, HashedKeys) else 0
    return table.totals.nbytes + table.ends.nbytes + index + sum(each.bytes_used for each in deltas)


def bytes_a_request(users: int, events: int, history: int) -> float:
    """Weigh the histories of a request of each user after so many events of each."""
    rng = np.random.default_rng(0)
    count, start = users * events, 20_000 * DAY
    time = start + np.arange(count, dtype=np.int64)
    none = np.full(count, MISSING, np.int64)
    log = Events(
        time,
        time,
        (np.arange(count) % users).astype(np.int32),
        rng.integers(0, ITEMS, count).astype(np.int32),
        (rng.random(count) < PURCHASES).astype(np.int16),
        none,
        none,
        KINDS,
    )
    moment = np.full(users, start + DAY)
    forget_days = FeatureSettings().forget_days
    found = last_interactions(log, np.arange(users), moment, history, forget_days)
    return _nbytes(found) / users


def _nbytes(history: History) -> int:
    return sum(part.nbytes for part in (history.starts, history.item, history.kind, history.time))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--history", type=int, default=HISTORY)
    settings = FeatureSettings(history=parser.parse_args(arguments).history)
    told: dict[str, object] = {
        "history": settings.history,
        "windows_days": settings.windows_days,
        "attributes": settings.attributes,
        "kinds": KINDS,
    }
    for name, value in told.items():
        print(f"{name}: {value}")
    for events, users in USERS_BY_EVENTS.items():
        online = {
            part: round(value) for part, value in bytes_a_user(users, events, settings).items()
        }
        training = round(bytes_a_request(users, events, settings.history))
        told[f"{events}_events"] = {"online": online, "training_history": training}
        parts = ", ".join(f"{part} {value:,}" for part, value in online.items())
        print(f"bytes of a user of {events} events online: {parts}")
        print(f"bytes of the history of a request after {events} events: {training:,}")
    print(json.dumps(told))


if __name__ == "__main__":
    main()
