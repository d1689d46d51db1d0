"""The batch executor's state, from midnight to midnight."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from features.backfill.run import STATE
from features.batch.counters.tiles import NO_DAY_EVENTS
from features.batch.state import FeatureState
from features.batch.state_files import load_state
from features.log.events import EVENT_ARRAYS, Events
from tests.features.worlds import FEATURES, SETTINGS, World, worlds


def assert_equal(one: FeatureState, other: FeatureState) -> None:
    assert one.day == other.day
    assert one.counters.keys() == other.counters.keys()
    for name, counter in one.counters.items():
        twin = other.counters[name]
        for each in (counter, twin):
            each.sort()
        assert counter.day == twin.day
        for part in ("codes", "totals", "first", "last"):
            np.testing.assert_array_equal(getattr(counter, part), getattr(twin, part), name)
        assert counter.tiles.keys() == twin.tiles.keys()
        assert counter.late.keys() == twin.late.keys()
    for name in EVENT_ARRAYS:
        np.testing.assert_array_equal(
            getattr(one.recent.events, name), getattr(other.recent.events, name)
        )


@pytest.mark.parametrize("days", [1, 6, 9, 31, SETTINGS.forget_days + 1, 400])
@settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(world=worlds())
def test_days_without_events_are_skipped_as_if_walked(days: int, world: World) -> None:
    with tempfile.TemporaryDirectory() as name:
        world.backfill(Path(name))
        skipped, walked = (load_state(Path(name) / STATE, FEATURES)[0] for _ in range(2))
    nothing = Events.none(walked.recent.events.kinds)
    for _ in range(days):
        walked.advance(dict.fromkeys(walked.counters, NO_DAY_EVENTS), nothing)
    end = skipped.day + days
    skipped.skip(end)
    assert_equal(skipped, walked)
    skipped.skip(end - 1)
    assert skipped.day == end
