"""The log played online against the backfill, and what a server logged."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data_contracts.errors import DataError
from features.arrays.clock import DAY
from features.checks.parity import ParityReport, compare_served
from features.checks.replay import ReplayScope, replay
from tests.features.worlds import (
    FEATURES,
    FIRST,
    SETTINGS,
    SHOP,
    WINDOW,
    Event,
    Request,
    World,
)

EVERY_DAY = ReplayScope(0, 10**6)
COUNT, RATIO = "item_click_7d", "item_days_since_click"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop")
    SHOP.backfill(path)
    return path


def _play(folder: Path, compared: ReplayScope = EVERY_DAY, world: World = SHOP) -> ParityReport:
    return replay(world.tables(), FEATURES, SETTINGS, folder, WINDOW, compared)


def test_the_shop_is_equal_to_the_bit(folder: Path) -> None:
    report = _play(folder)
    assert report.is_equal
    assert report.requests == len(SHOP.requests)
    assert report.rows == sum(len(request.items) for request in SHOP.requests)
    assert report.equal_to_the_bit == len(FEATURES.names)
    assert report.without_values == 0
    assert report.notes["interactions counted"] == len(SHOP.events)


def test_a_user_whose_first_event_comes_just_before_the_request_is_known(tmp_path: Path) -> None:
    now = FIRST + 3 * DAY
    first = Event("first", "click", "fresh", "i0", "s", now - 1)
    world = World(
        [first],
        [Request("before", "u0", now - 2, ("i0",)), Request("after", "fresh", now, ("i0",))],
    )
    world.backfill(tmp_path)
    report = _play(tmp_path, world=world)
    assert report.is_equal
    assert report.requests == 2
    rows = pl.read_parquet(tmp_path / "rows" / "*.parquet")
    assert rows.filter(request_id="after")["user_item_click_ever"].to_list() == [1]


def test_days_and_limit_choose_requests(folder: Path) -> None:
    first = FIRST // DAY
    assert _play(folder, ReplayScope(first + 1, first + 5)).requests == 4
    assert _play(folder, ReplayScope(first, first + 41, 3)).requests == 3


def test_nothing_to_compare_is_no_agreement(folder: Path) -> None:
    assert not _play(folder, ReplayScope(0, 1)).is_equal
    with pytest.raises(DataError, match="no rows"):
        _play(folder / "nowhere")


def _changed(folder: Path, target: Path, name: str, factor: float) -> Path:
    """Copy the rows with one feature multiplied."""
    for part in ("rows", "snapshots"):
        for file in (folder / part).rglob("*"):
            if file.is_file():
                copy = target / file.relative_to(folder)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(file.read_bytes())
    for file in (target / "rows").glob("*.parquet"):
        frame = pl.read_parquet(file)
        frame.with_columns((pl.col(name) * factor).cast(pl.Float32)).write_parquet(file)
    return target


@pytest.mark.parametrize(("name", "factor"), [(COUNT, 1 + 1e-6), (RATIO, 1.01)])
def test_a_feature_that_differs_is_named_with_an_example(
    folder: Path, tmp_path: Path, name: str, factor: float
) -> None:
    report = _play(_changed(folder, tmp_path, name, factor))
    assert not report.is_equal
    assert [each.name for each in report.different] == [name]
    assert report.different[0].example is not None
    request, item, found, wanted = report.different[0].example
    assert wanted == np.float32(found * factor) != found
    assert (request, item) in {(r.request_id, i) for r in SHOP.requests for i in r.items}


def test_a_floating_value_may_be_a_millionth_apart(folder: Path, tmp_path: Path) -> None:
    report = _play(_changed(folder, tmp_path, RATIO, 1 + 3e-7))
    assert report.is_equal
    assert report.equal_to_the_bit == len(FEATURES.names) - 1


def _served(folder: Path) -> pl.DataFrame:
    rows = pl.concat(
        [pl.read_parquet(file) for file in sorted((folder / "rows").glob("*.parquet"))]
    )
    values = rows.select(pl.concat_list(FEATURES.names).alias("values"))["values"]
    hashes = pl.lit(FEATURES.schema_hash).alias("schema_hash")
    return rows.select("request_id", "item_id", hashes).with_columns(values)


def test_what_was_served_is_compared_by_request(folder: Path) -> None:
    served = _served(folder)
    rows = pl.scan_parquet(folder / "rows" / "*.parquet")
    whole = compare_served(served, rows, FEATURES)
    assert whole.is_equal
    assert whole.rows == served.height
    unknown = served.head(1).with_columns(request_id=pl.lit("elsewhere"))
    part = compare_served(pl.concat([served.head(3), unknown]), rows, FEATURES)
    assert (part.rows, part.without_values) == (3, 1)
    place = FEATURES.names.index(COUNT)
    other = [[v + (n == place) for n, v in enumerate(row)] for row in served["values"].to_list()]
    changed = served.with_columns(pl.Series("values", other, pl.List(pl.Float32)))
    assert [each.name for each in compare_served(changed, rows, FEATURES).different] == [COUNT]


def test_other_features_than_the_workspaces_are_refused(folder: Path) -> None:
    rows = pl.scan_parquet(folder / "rows" / "*.parquet")
    for served in (
        _served(folder).with_columns(schema_hash=pl.lit("another")),
        _served(folder).with_columns(pl.col("values").list.head(2)),
    ):
        with pytest.raises(DataError, match="schema"):
            compare_served(served, rows, FEATURES)
