"""The online executor gives the values of the batch executor, however events come in."""

import tempfile
from functools import partial
from itertools import cycle
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from data_contracts.events import Impressions
from features.arrays.clock import DAY
from features.batch.counters.counter import Counter
from features.batch.history import RecentHistory
from features.batch.state import FeatureState
from features.log.events import Events, in_order_of_arrival
from features.log.log import Log
from features.log.requests import read_impressions
from features.online.executor import OnlineFeatures
from features.snapshots.files import snapshot_at
from tests.features.online.replay import Replay, by_arrival, by_time, empty, incoming, shown
from tests.features.worlds import FEATURES, KINDS, SETTINGS, World, worlds

SNAPSHOTS = "snapshots"


def _batch(world: World, folder: Path) -> tuple[Log, dict[str, np.ndarray]]:
    log, _, rows = world.backfill(folder)
    by_request = rows.partition_by(Impressions.request_id.name, as_dict=True)
    values = {
        str(key[0]): part.select(FEATURES.names).to_numpy() for key, part in by_request.items()
    }
    return log, values


def _assert_equal(found: np.ndarray, wanted: np.ndarray) -> None:
    for column, name in enumerate(FEATURES.names):
        np.testing.assert_array_equal(found[:, column], wanted[:, column], name)


SIZES = st.lists(st.sampled_from((1, 1, 2, 5, 13, 40)), min_size=1, max_size=4).map(cycle)
_SETTINGS = settings(
    max_examples=12,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)


@_SETTINGS
@given(world=worlds(), sizes=SIZES)
def test_it_gives_the_values_of_the_batch(world: World, sizes: "cycle[int]") -> None:
    with tempfile.TemporaryDirectory() as name:
        log, wanted = _batch(world, Path(name))
        online = empty(world, log, partial(snapshot_at, Path(name) / SNAPSHOTS))
        replay = Replay(world, sizes)
        for request in replay.requests:
            _assert_equal(replay.ask(online, request), wanted[request.request_id])
        replay.finish(online)
        online.advance(log.end_day * DAY)
    assert online.counts.duplicates == log.set_aside.duplicates
    aside = log.set_aside
    assert online.counts.late + online.counts.ahead == aside.late + aside.ahead + aside.shown_late
    assert online.counts.ignored == sum(event.kind not in KINDS for event in world.events)
    shown = sum(len(request.items) for request in world.requests)
    assert online.counts.shown + aside.shown_late == shown
    left_out = aside.duplicates + aside.late + aside.ahead + online.counts.ignored
    assert online.counts.counted + left_out == len(world.events)


@_SETTINGS
@given(world=worlds(), sizes=SIZES, data=st.data())
def test_saved_and_loaded_it_goes_on_the_same(
    world: World, sizes: "cycle[int]", data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(world.requests) - 1))
    with tempfile.TemporaryDirectory() as name:
        log, wanted = _batch(world, Path(name))
        online = empty(world, log, partial(snapshot_at, Path(name) / SNAPSHOTS))
        replay = Replay(world, sizes)
        for place, request in enumerate(replay.requests):
            if place == at:
                online.save(Path(name) / "online")
                source = partial(snapshot_at, Path(name) / SNAPSHOTS)
                last = source(online.snapshot.day)
                online = OnlineFeatures.load(
                    Path(name) / "online", FEATURES, SETTINGS, KINDS, last, source
                )
            _assert_equal(replay.ask(online, request), wanted[request.request_id])


@_SETTINGS
@given(world=worlds(), sizes=SIZES, data=st.data())
def test_from_a_midnight_of_the_batch_it_goes_on_the_same(
    world: World, sizes: "cycle[int]", data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as name:
        log, wanted = _batch(world, Path(name))
        day = data.draw(st.integers(log.first_day + 1, log.end_day))
        online = _hydrated(world, log, day, Path(name) / SNAPSHOTS)
        replay = Replay(world, sizes, day)
        for request in replay.requests:
            _assert_equal(replay.ask(online, request), wanted[request.request_id])


def _hydrated(world: World, log: Log, day: int, folder: Path) -> OnlineFeatures:
    """Give the online executor as it begins with the batch's state at a midnight."""
    first = snapshot_at(folder, log.first_day).snapshot
    counters = {spec.name: Counter(spec, first.day) for spec in FEATURES.counters}
    nothing = Events.none(log.event_kinds)
    recent = RecentHistory(SETTINGS.history, SETTINGS.forget_days, nothing)
    state = FeatureState(first.day, counters, recent, log.window, lambda: first)
    on_time = read_impressions(log.impressions, log.item_ids, log.user_ids, log.late_days)
    impressions = in_order_of_arrival([on_time, log.late_shown])
    while state.day < day:
        midnight = state.day * DAY
        events = log.interactions.between(midnight, midnight + DAY)
        of_day = impressions.between(midnight, midnight + DAY)
        today = state.day_events(log.catalogue, events, of_day)
        state.advance(today, events)
    state.snapshot = snapshot_at(folder, day).snapshot
    users = log.user_ids.to_list()
    source = partial(snapshot_at, folder)
    items = log.catalogue.since_moment(day * DAY - log.window)
    online = OnlineFeatures.hydrate(state, items, users, FEATURES, SETTINGS, source)
    online.mark_seen(
        incoming([event for event in by_arrival(world) if event.known < day * DAY]),
        [shown(each) for each in by_time(world) if each.known < day * DAY],
    )
    return online
