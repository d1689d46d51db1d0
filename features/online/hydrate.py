"""Hydration: the online state from the batch executor's state at a midnight."""

from collections.abc import Sequence

import numpy as np

from features.arrays.clock import DAY, NO_TIME
from features.arrays.key_index import MISSING
from features.batch.counters.counter import Counter
from features.batch.history import RecentHistory
from features.batch.state import FeatureState
from features.counter_spec import USER, CounterSpec
from features.online.counters.keys import HashedKeys
from features.online.counters.table import CounterTable
from features.online.counters.tiles import Tiles
from features.online.history import OnlineHistory
from features.online.items import GrowingCatalogue
from features.online.state import OnlineState, Retention
from features.online.users import Users
from features.settings import FeatureSettings


def hydrate(
    state: FeatureState,
    specs: Sequence[CounterSpec],
    catalogue: GrowingCatalogue,
    user_ids: Sequence[str],
    settings: FeatureSettings,
) -> OnlineState:
    """Build the online state at the midnight of a batch state.

    Args:
        state: The batch executor's state; it has every counter and window of `specs`.
        specs: The counters wanted.
        catalogue: The items.
        user_ids: The users, in the order of their codes.
        settings: Retention of users and events.

    Returns:
        The state, without identifiers and visits of events and what was shown: see `mark_seen`.
    """
    kinds = state.recent.events.kinds
    memory = Retention(state.recent.k, settings.forget_days, settings.late_days, state.window)
    online = OnlineState(specs, catalogue, kinds, memory, state.day * DAY)
    online.users = Users(user_ids)
    for spec in specs:
        _take_counter(online.tables[spec.key], state.counters[spec.name], spec)
    _take_histories(online.history, state.recent, len(user_ids))
    _see_users(online)
    return online


def _take_counter(table: CounterTable, counter: Counter, spec: CounterSpec) -> None:
    """Copy the totals, ends and tiles of a counter into its columns."""
    kept = np.flatnonzero((counter.codes != MISSING) & (counter.first != NO_TIME))
    rows = table.keys.add(counter.codes[kept])
    table.make_room()
    series = table.series[spec.name]
    for column, days in zip(series.columns, spec.windows, strict=True):
        table.totals[rows, column] = counter.totals[kept, counter.spec.windows.index(days)]
    last, first = 2 * series.track, 2 * series.track + 1
    table.ends[rows, last], table.ends[rows, first] = counter.last[kept], counter.first[kept]
    for tiles in series.tiles:
        for day in sorted({*counter.tiles, *counter.late}):
            _take_tile(tiles, counter, day, table)


def _take_tile(tiles: Tiles, counter: Counter, day: int, table: CounterTable) -> None:
    tile = counter.tile_of(day)
    sizes = np.diff(tile.starts)
    time = day * DAY + tile.moments - np.repeat(np.arange(len(sizes)), sizes) * DAY
    rows = np.repeat(table.keys.find(tile.codes), sizes)
    if len(rows):
        tiles.add(table.clock, time, rows, np.diff(tile.running))


def _take_histories(histories: OnlineHistory, recent: RecentHistory, users: int) -> None:
    """Copy the last interactions, in the order in which they became known."""
    histories.make_room(users)
    events = recent.events
    histories.add(events.user, events.item, events.kind, events.time)


def _see_users(online: OnlineState) -> None:
    """Find the last event of every user."""
    seen = online.users.seen
    for key, table in online.tables.items():
        if USER in key and table.track:
            last = table.ends[1 : table.keys.rows_used, 0::2].max(axis=1)
            keys = table.keys
            user = keys.codes >> 32 if isinstance(keys, HashedKeys) else np.arange(len(last))
            np.maximum.at(seen, user, last)
    histories = online.history
    known = np.flatnonzero(histories.count[: len(online.users)])
    np.maximum.at(seen, known, histories.last_times()[known])
