"""What a backfill leaves on disk."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import polars as pl
import pytest

from data_contracts.errors import DataError
from data_contracts.events import Impressions
from data_contracts.progress import T
from features.arrays.clock import DAY, HOUR
from features.backfill import run as backfill_module
from features.backfill.rows import MANIFEST, feature_columns
from features.backfill.run import ROWS, SNAPSHOTS, STATE, backfill
from features.batch.counters.counter import Counter as WindowedCounter
from features.batch.state import FeatureState
from features.log.log import open_log
from tests.features.worlds import (
    BY_DAY,
    EVENT_DAYS,
    FEATURES,
    FIRST,
    SETTINGS,
    SHOP,
    WINDOW,
    Event,
    Request,
    moment,
)

FIRST_DAY = FIRST // DAY
NOW = FIRST + 400 * DAY
BEYOND_EVENTS = [
    Event("2100", "click", "u0", "i0", None, FIRST + 76 * 365 * DAY),
    Event("before now", "click", "u7", "i1", None, FIRST + 300 * DAY),
    Event("known in a week", "purchase", "u1", "i2", None, FIRST + 40 * DAY, 7 * DAY),
    Event("dated ahead", "click", "u0", "i0", None, FIRST + 9 * DAY, -2 * DAY),
]
"""Interactions from after the shop's end, 24 hours after its last impression of day 40."""
BEYOND_REQUESTS = [Request("2031", "u8", FIRST + 7 * 365 * DAY, ("i0", "i1"))]


def assert_same_files(one: Path, other: Path) -> None:
    """Compare two folders, all files below them, by their bytes."""
    files = _files(one)
    assert files
    assert _files(other) == files
    for file in files:
        assert (one / file).read_bytes() == (other / file).read_bytes(), file


def _files(folder: Path) -> list[Path]:
    parts = (folder / part for part in (ROWS, SNAPSHOTS, STATE))
    return sorted(
        path.relative_to(folder) for part in parts for path in part.rglob("*") if path.is_file()
    )


def _name(day: int) -> str:
    return f"{moment(FIRST + day * DAY).date()}.parquet"


def test_each_day_with_requests_is_one_file_of_its_rows(tmp_path: Path) -> None:
    SHOP.backfill(tmp_path / "rows")
    files = {
        file.name: pl.read_parquet(file) for file in (tmp_path / "rows" / ROWS).glob("*.parquet")
    }
    assert {name: frame.height for name, frame in files.items()} == {
        _name(day): 3 * count for day, count in BY_DAY.items()
    }
    keys = [
        Impressions.request_id.name,
        Impressions.item_id.name,
        Impressions.user_id.name,
        Impressions.timestamp.name,
        Impressions.position.name,
    ]
    for frame in files.values():
        assert frame.columns == [*keys, *FEATURES.names]
        assert set(frame.dtypes[len(keys) :]) == {pl.Float32}


def test_the_manifest_names_features_and_hashes_of_files(tmp_path: Path) -> None:
    SHOP.backfill(tmp_path / "rows")
    manifest = json.loads((tmp_path / "rows" / ROWS / MANIFEST).read_text())
    files = {file.name: file.read_bytes() for file in (tmp_path / "rows" / ROWS).glob("*.parquet")}
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    assert manifest["files"] == hashes
    assert manifest["features"] == {f.name: f.meaning for f in FEATURES.features}
    assert feature_columns(tmp_path / "rows" / ROWS) == (FEATURES.schema_hash, FEATURES.names)


def test_two_runs_and_any_size_of_block_write_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    SHOP.backfill(tmp_path / "one")
    SHOP.backfill(tmp_path / "two")
    monkeypatch.setattr(backfill_module, "BLOCK_ROWS", 1)
    SHOP.backfill(tmp_path / "blocks")
    for other in ("two", "blocks"):
        assert_same_files(tmp_path / "one", tmp_path / other)


@pytest.mark.parametrize("start", [0, 1, 3, 4, 40])
def test_a_later_start_leaves_rows_out_and_changes_none(tmp_path: Path, start: int) -> None:
    _, _, whole = SHOP.backfill(tmp_path / "whole")
    _, _, part = SHOP.backfill(tmp_path / "part", FIRST_DAY + start)
    wanted = whole.filter(Impressions.timestamp.col >= moment(FIRST + start * DAY))
    assert part.equals(wanted)
    assert sorted(
        file.stem + ".parquet" for file in (tmp_path / "part" / ROWS).glob("*.parquet")
    ) == [_name(day) for day in BY_DAY if day >= start]


def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill_module, "BLOCK_ROWS", 7)
    SHOP.backfill(tmp_path / "whole")
    folder = tmp_path / "part"

    def stop(steps: Iterable[T], label: str, total: int) -> Iterator[T]:
        yield from islice(steps, len(EVENT_DAYS) - 1)
        raise KeyboardInterrupt

    log = SHOP.open(folder)
    with pytest.raises(KeyboardInterrupt):
        backfill(log, FEATURES, SETTINGS, folder, track=stop)
    with pytest.raises(DataError, match="recsys backfill"):
        feature_columns(folder / ROWS)
    told: list[str] = []
    report = backfill(log, FEATURES, SETTINGS, folder, tell=told.append)
    assert report.days == 1
    assert told == ["1 day not computed yet"]
    assert_same_files(tmp_path / "whole", folder)


def test_days_without_events_cost_no_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: Counter[str] = Counter()

    def counted(owner: type, name: str) -> None:
        method = getattr(owner, name)

        def call(self: object, *arguments: object) -> object:
            steps[f"{owner.__name__}.{name}"] += 1
            return method(self, *arguments)

        monkeypatch.setattr(owner, name, call)

    counted(FeatureState, "advance")
    counted(WindowedCounter, "advance")
    odd = Event("odd", "click", "u9", "i4", None, HOUR)
    SHOP.with_more([odd]).backfill(tmp_path)
    assert steps["FeatureState.advance"] == 1 + len(EVENT_DAYS)
    longest = max(SETTINGS.windows_days)
    days = (1 + len(EVENT_DAYS)) * (1 + longest)
    assert steps["Counter.advance"] <= days * len(FEATURES.counters)


def test_what_lies_beyond_the_end_changes_no_byte(tmp_path: Path) -> None:
    plain, odd = tmp_path / "plain", tmp_path / "odd"
    for folder, world in ((plain, SHOP), (odd, SHOP.with_more(BEYOND_EVENTS, BEYOND_REQUESTS))):
        log = open_log(world.tables(), SETTINGS.late_days, DAY, folder / "log", now=NOW)
        backfill(log, FEATURES, SETTINGS, folder)
    assert log.set_aside.ahead == len(BEYOND_EVENTS)
    assert log.set_aside.shown_ahead == sum(len(each.items) for each in BEYOND_REQUESTS)
    manifest = ROWS + "/" + MANIFEST
    told = [json.loads((folder / manifest).read_text()) for folder in (plain, odd)]
    assert told[0].pop("set_aside") != told[1].pop("set_aside")
    assert told[0] == told[1]
    for folder in (plain, odd):
        (folder / manifest).unlink()
    assert_same_files(plain, odd)


def test_features_that_were_never_computed_say_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="recsys backfill"):
        feature_columns(tmp_path)


def test_a_log_without_the_kinds_asked_for_names_those_it_has(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"\['click'\].*\['buy'\]"):
        open_log(replace(SHOP.tables(()), kinds=("buy",)), SETTINGS.late_days, WINDOW, tmp_path)
