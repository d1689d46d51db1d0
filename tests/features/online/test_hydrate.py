"""The online executor as a server uses it: from a bundle's state on, by the requests' clock."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_contracts.events import Impressions
from features.arrays.clock import DAY, HOUR
from features.batch.state_files import load_state, save_state
from features.online.events import ShownItems
from features.online.executor import OnlineFeatures
from tests.features.online.replay import incoming
from tests.features.worlds import FEATURES, ITEM_IDS, SETTINGS, SHOP, Event, Request, World, worlds

CLOCK_ONLY = ["request_hour", "request_weekday"]


def _served(world: World, folder: Path, silence: int | None) -> OnlineFeatures:
    log, state, _ = world.backfill(folder)
    save_state(state, log.catalogue, log.user_ids, folder / "state")
    loaded, catalogue, users = load_state(folder / "state", FEATURES)
    return OnlineFeatures.hydrate(loaded, catalogue, users, FEATURES, SETTINGS, silence=silence)


@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
@given(
    world=worlds(),
    user=st.sampled_from((None, "u0", "u1", "nobody")),
    slate=st.lists(st.sampled_from(ITEM_IDS), min_size=1, max_size=6, unique=True),
)
def test_at_the_cut_off_it_gives_the_values_of_the_batch(
    world: World, user: str | None, slate: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        online = _served(world, Path(name), None)
        request = Request("asked", user, online.clock, tuple(slate), {slate[0]: 0.5})
        more = world.with_more([], [request])
        _, _, rows = more.backfill(Path(name) / "more", online.clock // DAY)
    score = np.array([0.5] + [np.nan] * (len(slate) - 1), np.float32)
    matrix, reader = online.read(online.rows(slate, user, online.clock, {"score": score}))
    batch = rows.filter(Impressions.request_id.col == "asked")
    assert batch[Impressions.item_id.name].to_list() == slate
    np.testing.assert_array_equal(matrix, batch.select(FEATURES.names).to_numpy())
    assert matrix.dtype == np.float32
    assert matrix.flags.c_contiguous
    assert len(reader.history) == 1


def _moved(online: OnlineFeatures, time: int) -> list[str]:
    early, _ = online.read(online.rows(["i0", "i1"], "u0", online.clock, {}))
    late, _ = online.read(online.rows(["i0", "i1"], "u0", time, {}))
    return [
        name
        for name, a, b in zip(FEATURES.names, early.T, late.T, strict=True)
        if not np.array_equal(a, b, equal_nan=True)
    ]


def test_without_events_the_clock_stops_after_the_silence_allowed(tmp_path: Path) -> None:
    online = _served(SHOP, tmp_path, HOUR)
    midnight = online.clock
    assert set(_moved(online, midnight + 3 * DAY + 5 * HOUR)) > set(CLOCK_ONLY)
    assert online.clock == midnight + HOUR
    assert _moved(online, midnight + 9 * DAY) == ["request_hour", "request_weekday"]


@pytest.mark.parametrize(
    ("ahead", "late", "counts"),
    [
        (99 * DAY, -99 * DAY, False),
        (99 * DAY, 0, False),
        (0, 9 * DAY, False),
        (DAY + 1, -DAY - 1, False),
        (-HOUR, -2 * DAY, False),
        (2 * DAY, -DAY, False),
        (DAY, 0, True),
        (HOUR, -HOUR, True),
    ],
)
def test_what_is_dated_too_far_ahead_is_counted_and_changes_nothing(
    tmp_path: Path, ahead: int, late: int, counts: bool
) -> None:
    online = _served(SHOP, tmp_path, HOUR)
    midnight = online.clock
    odd = Event("odd", "click", "u0", "i0", None, midnight + ahead, late)
    online.fold(incoming([odd]), now=midnight)
    assert online.counts.ahead == int(not counts)
    assert len(online.state.pending) == int(counts)
    online.read(online.rows(["i0"], "u0", midnight + 100 * DAY, {}))
    assert online.clock == midnight + HOUR


def test_a_request_of_the_far_future_leaves_no_impressions(tmp_path: Path) -> None:
    online = _served(SHOP, tmp_path, HOUR)
    now = online.clock
    for time, shown in ((now + DAY, 1), (now + DAY + 1, 0)):
        online.fold_shown(ShownItems("r", ["i0", "i1"], "u0", None, time), now=now)
        assert len(online.state.pending.shown) == 1
        assert online.counts.ahead == 2 * (1 - shown)


def test_an_event_lets_the_clock_go_on(tmp_path: Path) -> None:
    online = _served(SHOP, tmp_path, HOUR)
    time = online.clock + 2 * DAY
    online.fold(incoming([Event("later", "click", "u0", "i0", None, time)]))
    before, _ = online.read(online.rows(["i0"], "u0", time, {}))
    after, _ = online.read(online.rows(["i0"], "u0", time + 1, {}))
    assert online.clock == time + 1
    last = FEATURES.names.index("item_days_since_click")
    assert before[0, last] >= 2
    assert after[0, last] == np.float32(1 / DAY)


def test_a_request_from_before_the_clock_is_answered_as_of_the_clock(tmp_path: Path) -> None:
    online = _served(SHOP, tmp_path, None)
    online.advance(online.clock + 5 * HOUR)
    clock = online.clock
    now, _ = online.read(online.rows(["i0", "i1"], "u0", clock, {}))
    earlier, reader = online.read(online.rows(["i0", "i1"], "u0", clock - 24 * HOUR, {}))
    assert online.clock == clock
    assert reader.moment.tolist() == [clock]
    columns = [FEATURES.names.index(name) for name in FEATURES.names if name not in CLOCK_ONLY]
    np.testing.assert_array_equal(now[:, columns], earlier[:, columns])
