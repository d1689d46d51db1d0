"""Where a log ends, and what it leaves out."""

import tempfile
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_contracts.errors import DataError
from features.arrays.clock import DAY, HOUR
from features.log.end import Gap, log_end, longest_gap
from features.log.events import without_sessions
from features.log.log import Log, open_log
from tests.features.worlds import (
    FIRST,
    KINDS,
    SETTINGS,
    SHOP,
    TIMES,
    Event,
    Request,
    World,
    impressions_table,
    moment,
    worlds,
)

LAST = max(request.time for request in SHOP.requests)
FAR = LAST + 1000 * DAY


def opened(world: World, folder: Path, window: int, now: int, stamp: str | None = None) -> Log:
    return open_log(world.tables(), SETTINGS.late_days, window, folder / "log", stamp, now)


@given(st.lists(TIMES, max_size=8), st.integers(1, 90 * DAY), TIMES)
def test_a_log_ends_a_window_after_its_last_impression_or_now(
    times: list[int], window: int, now: int
) -> None:
    requests = [Request(f"r{n}", None, time, ("i0",)) for n, time in enumerate(times)]
    end = log_end(impressions_table(requests), window, now)
    past = [time for time in times if time < now]
    assert end == (min(now, max(past) + window) if past else now)


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(world=worlds(), window=st.sampled_from((HOUR, DAY, 30 * DAY)), now=TIMES)
def test_a_log_is_that_of_the_rows_before_its_end_and_counts_the_others(
    world: World, window: int, now: int
) -> None:
    tables = world.tables()
    end = log_end(tables.impressions, window, now)
    inside = World(
        [event for event in world.events if event.known < end],
        [request for request in world.requests if request.known < end],
        world.records,
    )
    of_kinds = [event for event in world.events if event.kind in KINDS]
    ahead = [event for event in of_kinds if event.known >= end or event.late < -DAY]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        late = SETTINGS.late_days * DAY
        if not any(event.known < end and -DAY <= event.late <= late for event in of_kinds):
            with pytest.raises(DataError):
                opened(world, folder, window, now)
            return
        log = opened(world, folder, window, now)
        assert log.end == end
        assert log.set_aside.ahead == len(ahead)
        shown = sum(day.shown for day in log.days.values())
        assert shown == log.impressions.select(pl.len()).collect().item()
        assert shown + log.set_aside.shown_ahead == sum(len(r.items) for r in world.requests)
        waiting = [r for r in inside.requests if r.time + window > end]
        assert log.set_aside.unlabelled == len(waiting)
        assert all(r.time >= log.labelled_until for r in waiting)
        assert all(r in waiting or r.time < log.labelled_until for r in inside.requests)
        # The same log without the rows beyond.
        without = opened(inside, folder / "inside", WINDOW_OF_ALL, FAR)
        assert log.days == without.days
        assert log.user_ids.equals(without.user_ids)
        # The windows differ, and so does what they attribute.
        both = (without_sessions(each.interactions) for each in (log, without))
        one, other = (each.known.tolist() for each in both)
        assert one == other


WINDOW_OF_ALL = 1000 * DAY


def test_a_log_that_does_not_change_keeps_its_end(tmp_path: Path) -> None:
    now = LAST + HOUR
    first = opened(SHOP, tmp_path, DAY, now, "stamp")
    assert first.end == now
    assert opened(SHOP, tmp_path, DAY, now + 2 * HOUR, "stamp").end == now
    assert opened(SHOP, tmp_path, DAY, FAR, "another").end == LAST + DAY


def test_requests_are_unlabelled_until_their_window_is_over(tmp_path: Path) -> None:
    times = sorted({request.time for request in SHOP.requests})
    for now, unlabelled in ((LAST + DAY, 0), (LAST + DAY - 1, 1), (LAST + 1, 2)):
        log = opened(SHOP, tmp_path, DAY, now)
        assert log.set_aside.unlabelled == unlabelled
        assert sum(time >= log.labelled_until for time in times) == unlabelled
    # Day 40, at midnight and at six.
    assert times[-2:] == [FIRST + 40 * DAY, LAST]


@pytest.mark.parametrize(
    ("time", "late", "ahead"),
    [(-1, 0, 0), (0, 0, 1), (-HOUR, HOUR, 0), (-HOUR, HOUR + 1, 1), (HOUR, -2 * HOUR, 1)],
)
def test_the_last_microsecond_before_the_end_is_in_the_log(
    tmp_path: Path, time: int, late: int, ahead: int
) -> None:
    edge = Event("edge", "click", "u0", "i0", None, LAST + DAY + time, late)
    log = opened(SHOP.with_more([edge]), tmp_path, DAY, FAR)
    assert log.set_aside.ahead == ahead
    assert len(log.interactions.of_kind("click")) == len(SHOP.events) + 1 - ahead


def test_rows_without_a_time_are_counted_too(tmp_path: Path) -> None:
    tables = SHOP.tables()
    time = pl.when(pl.int_range(pl.len()) == 3).then(None).otherwise(pl.col("timestamp"))
    odd = replace(
        tables,
        impressions=tables.impressions.with_columns(time.alias("timestamp")),
        interactions=tables.interactions.with_columns(time.alias("timestamp")),
    )
    log = open_log(odd, SETTINGS.late_days, DAY, tmp_path / "log", now=FAR)
    assert (log.set_aside.ahead, log.set_aside.shown_ahead) == (1, 1)
    assert sum(day.arrived for day in log.days.values()) == len(SHOP.events) - 1


def test_a_log_of_the_future_alone_says_what_it_has(tmp_path: Path) -> None:
    event = Event("far", "click", "u0", "i0", None, FAR)
    with pytest.raises(DataError) as refusal:
        opened(World([event], SHOP.requests), tmp_path, DAY, LAST + HOUR)
    assert str(moment(FAR)) in refusal.value.found
    assert str(moment(LAST + HOUR)) in refusal.value.found
    assert "clock" in refusal.value.action


def test_the_longest_run_of_days_without_rows_is_found() -> None:
    assert longest_gap({}) is None
    assert longest_gap({5: 3}) is None
    assert longest_gap({5: 3, 6: 1}) is None
    odd = longest_gap({0: 1, 100: 40, 103: 50, 104: 60})
    assert odd == Gap(0, 100, 1, 40 + 50 + 60)
    assert (odd.days, odd.strays) == (99, 1)
    ahead = longest_gap({100: 40, 101: 50, 400: 2})
    assert ahead == Gap(101, 400, 90, 2)
    assert (ahead.days, ahead.strays) == (298, 2)
