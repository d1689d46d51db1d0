"""A workspace's log: where it ends, and what of its tables changes nothing."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from data_contracts.events import Impressions, Interactions
from features.arrays.clock import DAY
from features.log.log import Log, open_log
from recsys.workspace.backfill import log_facts, open_workspace_log, run_backfill
from recsys.workspace.checks import check_parity
from recsys.workspace.workspace import Workspace
from tests.features.worlds import FIRST, SETTINGS, SHOP, Event, Request, World

FAR = datetime(2100, 1, 1, tzinfo=UTC)


def opened(world: World, folder: Path, now: int, window: int = DAY) -> Log:
    return open_log(world.tables(), SETTINGS.late_days, window, folder / "log", now=now)


def test_rows_of_the_future_change_no_state(
    tiny_workspace: Workspace, trained_workspace: Workspace
) -> None:
    for table, time, key in (
        ("impressions", Impressions.timestamp, Impressions.request_id),
        ("interactions", Interactions.timestamp, Interactions.event_id),
    ):
        rows = tiny_workspace.scan(table).collect()
        one = rows.head(1).with_columns(
            pl.lit(FAR).cast(rows.schema[time.name]).alias(time.name),
            pl.lit("of the future").alias(key.name),
        )
        pl.concat([rows, one]).write_parquet(tiny_workspace.location(table))
    log, before = open_workspace_log(tiny_workspace), open_workspace_log(trained_workspace)
    assert (log.set_aside.ahead, log.set_aside.shown_ahead) == (
        before.set_aside.ahead + 1,
        before.set_aside.shown_ahead + 1,
    )
    assert (log.days, log.end) == (before.days, before.end)
    run_backfill(tiny_workspace, log)
    assert [path.name for path in tiny_workspace.state.iterdir()]
    for path in trained_workspace.state.iterdir():
        assert (tiny_workspace.state / path.name).read_bytes() == path.read_bytes(), path
    parity = check_parity(tiny_workspace, limit=20)
    assert parity.is_equal
    assert parity.without_values == 0
    assert parity.notes["too far ahead"] == 0


def test_another_window_moves_the_end(tiny_workspace: Workspace) -> None:
    ends = []
    for hours in (24, 48):
        labels = tiny_workspace.config.labels.model_copy(update={"attribution_window_hours": hours})
        config = tiny_workspace.config.model_copy(update={"labels": labels})
        ends.append(open_workspace_log(Workspace(tiny_workspace.root, config)).end)
    assert ends[1] - ends[0] == timedelta(hours=24) // timedelta(microseconds=1)


def test_an_old_log_says_its_end_and_nothing_else(tmp_path: Path) -> None:
    last = max(request.time for request in SHOP.requests)
    (line,) = log_facts(opened(SHOP, tmp_path, last + 9 * DAY))
    assert line.startswith(
        "the log ends at 2024-04-06 06:00:00 UTC; set aside: 0 too late, 0 copies"
    )


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    last = max(request.time for request in SHOP.requests)
    copy = SHOP.events[0]
    odd = Event("odd", "click", "u0", "i0", None, last + 400 * DAY)
    world = SHOP.with_more([copy, odd], [Request("odd", "u0", last + 500 * DAY, ("i0", "i1"))])
    first, second = log_facts(opened(world, tmp_path, last + 1))
    assert "0 too late, 1 copies, " in first
    assert "2 impressions from beyond its end" in first
    assert second.startswith("2 requests are too new to be learned from")


@pytest.mark.parametrize(
    ("day", "side", "dates"),
    [
        (-10_000, "before", "from 1996-10-10 to 2024-02-24"),
        (240, "after", "from 2024-04-06 to 2024-10-21"),
    ],
)
def test_dates_that_stand_alone_are_told(tmp_path: Path, day: int, side: str, dates: str) -> None:
    odd = Event("odd", "click", "u0", "i0", None, FIRST + day * DAY)
    many = [
        Event(f"m{n}", "click", "u1", "i1", None, FIRST + n // 10 * DAY + n) for n in range(400)
    ]
    last = max(request.time for request in SHOP.requests)
    log = opened(SHOP.with_more([odd, *many]), tmp_path, last + 900 * DAY, 900 * DAY)
    _, told = log_facts(log)
    rows = sum(of_day.shown + of_day.arrived for of_day in log.days.values())
    assert told.startswith(f"only 1 of {rows} rows lie {side} the ")
    assert dates in told
