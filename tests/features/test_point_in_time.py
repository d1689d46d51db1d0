"""What happens at a request's moment or later changes none of its values."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_contracts.events import Impressions
from features.arrays.clock import DAY
from tests.features.worlds import EVENTS, FEATURES, World, moment, requests, worlds


def _matrix(world: World, until: int) -> np.ndarray:
    """Compute the rows of the requests of the base world up to a moment."""
    with tempfile.TemporaryDirectory() as folder:
        rows = world.backfill(Path(folder) / "rows")[2]
    request, time = Impressions.request_id.col, Impressions.timestamp.col
    chosen = rows.filter(request.str.starts_with("r") & (time <= moment(until)))
    return chosen.select(FEATURES.names).to_numpy()


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(
    world=worlds(),
    place=st.integers(0, 5),
    later=st.lists(EVENTS, min_size=1, max_size=15),
    shown=requests("later", max_size=3),
)
def test_later_events_change_no_earlier_row(world, place, later, shown):  # type: ignore[no-untyped-def]
    until = world.requests[place % len(world.requests)].time
    unknown_yet = [replace(event, late=max(event.late, until + 1 - event.time)) for event in later]
    more = world.with_more(
        [replace(later[0], time=until, late=0), *unknown_yet],
        [replace(request, time=max(request.time, until)) for request in shown],
    )
    expected = _matrix(world, until)
    assert len(expected) > 0
    np.testing.assert_array_equal(_matrix(more, until), expected)


@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
@given(world=worlds())
def test_an_event_one_microsecond_before_a_request_counts(world: World) -> None:
    request = max(world.requests, key=lambda request: request.time)
    user, item = request.user or "u0", "i0"
    asked = replace(request, request_id="r-asked", user=user, items=(item,))
    column = FEATURES.names.index("user_item_click_ever")
    at = replace(
        world.events[0], event_id="new", user=user, item=item, kind="click", time=request.time
    )
    before = replace(at, time=request.time - 1)

    def count(extra: list[object]) -> float:
        return float(_matrix(World([*world.events, *extra], [asked]), asked.time)[0, column])  # type: ignore[list-item]

    assert count([before]) == count([]) + 1
    assert count([at]) == count([])
    assert count([replace(before, late=1)]) == count([]) + 1
    assert count([replace(before, late=2)]) == count([])
    assert count([replace(before, time=request.time - 5 * DAY, late=5 * DAY)]) == count([]) + 1
    assert count([replace(before, time=request.time - 5 * DAY, late=5 * DAY + 1)]) == count([])
