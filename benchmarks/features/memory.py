"""What a user, an item and a version of it weigh online, and a request's history in training.

    python -m benchmarks.features.memory [--history 300]

Users of 1, 10 and 300 events each, every event with an item of its own and in a visit of its own,
are folded into the state of a shop with the default set of features. Bytes are those of all arrays
as they are allotted, free places included, and of the users' identifiers; what the shop weighs
without users is counted too, and is little beside many users. Then each user makes a request, and
the histories that a training holds for these are weighed. Last, a catalogue of the default columns
(price, listing, category, text) gets items and, record by record, further versions of them; text
vectors, which are by text, and counters are not in it. The last line is JSON.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from sys import getsizeof

import numpy as np
import polars as pl

from benchmarks.features.online import BATCH, CATEGORIES, KINDS, PURCHASES, fold, shop, some_events
from data_contracts.items import Items
from features.arrays.clock import DAY
from features.arrays.key_index import MISSING
from features.log.catalogue import LoggedCatalogue
from features.log.events import Events
from features.log.history import History, last_interactions
from features.log.item_columns import TEXT, item_versions
from features.online.counters.keys import HashedKeys
from features.online.counters.table import CounterTable
from features.online.executor import OnlineFeatures
from features.online.items import GrowingCatalogue
from features.settings import FeatureSettings

ITEMS = 2_000
HISTORY = 300
CATALOGUE = (100_000, 5)
"""Items, and versions of each."""
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


def bytes_of_items(items: int, versions: int) -> Mapping[str, float]:
    """Weigh an online catalogue.

    Args:
        items: Items.
        versions: Versions of each.

    Returns:
        Bytes of an item, without its versions, and of a version.
    """
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    names = [f"item-{place:07d}" for place in range(items)]
    empty = pl.Schema([*Items.create_empty().schema.items(), (TEXT, pl.String)])
    first = item_versions(pl.DataFrame(schema=empty))
    columns = (Items.category.name, TEXT)
    catalogue = GrowingCatalogue(LoggedCatalogue.of(first, columns, pl.Series([], dtype=pl.String)))
    for version in range(versions):
        records = pl.DataFrame(
            {
                Items.item_id.name: names,
                Items.category.name: [f"category-{place % CATEGORIES}" for place in range(items)],
                Items.price.name: float(version),
                Items.updated_at.name: begin + timedelta(days=version),
                TEXT: [f"{place:032x}" for place in range(items)],
            }
        )
        catalogue.add(
            records.select(
                pl.col(name) if name in records.columns else pl.lit(None, dtype).alias(name)
                for name, dtype in empty.items()
            )
        )
    used = catalogue.bytes_used
    return {"item": used["items"] / items, "version": used["versions"] / items / versions}


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
    found = {part: round(value) for part, value in bytes_of_items(*CATALOGUE).items()}
    told["catalogue"] = found
    print(
        f"bytes of an item {found['item']:,}, and of each of its versions {found['version']:,}: "
        f"of {CATALOGUE[0]:,} items of {CATALOGUE[1]} versions"
    )
    print(json.dumps(told))


if __name__ == "__main__":
    main()
