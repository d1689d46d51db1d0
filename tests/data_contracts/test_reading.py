from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import dataframely as dy
import polars as pl
import pytest

from data_contracts.errors import DataError
from data_contracts.events import Interactions
from data_contracts.items import Items
from data_contracts.reading import check_rows, scan_table, with_columns

NOW = datetime(2025, 1, 1, 12, tzinfo=UTC)
EVENTS = pl.DataFrame(
    {
        "event_id": ["1", "2"],
        "kind": ["click", "purchase"],
        "item_id": ["a", "b"],
        "timestamp": [NOW, NOW],
    }
)


def write(frame: pl.DataFrame, folder: Path) -> str:
    path = folder / "table.parquet"
    frame.write_parquet(path)
    return str(path)


def test_columns_come_in_the_contracts_order_and_types(tmp_path: Path) -> None:
    found = scan_table(write(EVENTS.select(reversed(EVENTS.columns)), tmp_path), Interactions)
    expected = {name: column.dtype for name, column in Interactions.columns().items()}
    assert list(found.collect_schema().items()) == list(expected.items())


def test_absent_nullable_columns_are_null_and_others_are_dropped(tmp_path: Path) -> None:
    frame = EVENTS.with_columns(pl.lit(1).alias("beyond the contract"))
    found = scan_table(write(frame, tmp_path), Interactions).collect()
    assert found["user_id"].null_count() == 2
    assert "beyond the contract" not in found.columns


def test_values_that_stay_the_same_are_cast(tmp_path: Path) -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=-5)))
    frame = EVENTS.with_columns(
        pl.Series("timestamp", [elsewhere, elsewhere]).dt.cast_time_unit("ms"),
        pl.col("kind").cast(pl.Categorical),
        pl.lit(3, dtype=pl.Int16).alias("value"),
        pl.lit(None).alias("session_id"),
    )
    found = scan_table(write(frame, tmp_path), Interactions).collect()
    assert found["timestamp"].to_list() == [NOW, NOW]
    assert found["kind"].to_list() == ["click", "purchase"]
    assert found["value"].to_list() == [3.0, 3.0]
    assert found["session_id"].null_count() == 2


@pytest.mark.parametrize(
    ("column", "values"),
    [("item_id", [1, 2]), ("timestamp", [date(2025, 1, 1)] * 2), ("value", ["1", "2"])],
)
def test_a_wrong_type_is_refused(column: str, values: list[object], tmp_path: Path) -> None:
    path = write(EVENTS.with_columns(pl.Series(column, values)), tmp_path)
    with pytest.raises(DataError, match=f"column {column} of table interactions"):
        scan_table(path, Interactions)


def test_a_time_without_a_zone_is_refused(tmp_path: Path) -> None:
    path = write(EVENTS.with_columns(pl.col("timestamp").dt.replace_time_zone(None)), tmp_path)
    with pytest.raises(DataError, match="without a zone") as caught:
        scan_table(path, Interactions)
    assert "replace_time_zone" in caught.value.action


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        scan_table(write(EVENTS.drop("kind", "item_id"), tmp_path), Interactions)
    assert caught.value.expected == "also the columns ['kind', 'item_id']"


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no rows"):
        scan_table(write(EVENTS.clear(), tmp_path), Interactions)


@pytest.mark.parametrize("content", [None, b"", b"no parquet at all"])
def test_what_is_no_parquet_file_is_refused(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        scan_table(str(path), Interactions)


def test_a_glob_reads_all_its_files(tmp_path: Path) -> None:
    EVENTS.head(1).write_parquet(tmp_path / "day-1.parquet")
    EVENTS.tail(1).write_parquet(tmp_path / "day-2.parquet")
    found = scan_table(str(tmp_path / "day-*.parquet"), Interactions).collect()
    assert found["event_id"].to_list() == ["1", "2"]


def test_declared_columns_join_the_contract(tmp_path: Path) -> None:
    wider = with_columns(Items, {"brand": dy.String(nullable=True)})
    frame = pl.DataFrame({"item_id": ["a"], "title": ["Mug"], "brand": ["Acme"]})
    assert scan_table(write(frame, tmp_path), wider).collect()["brand"].to_list() == ["Acme"]
    assert "brand" not in Items.columns()


def test_good_and_bad_rows_together_are_all(tmp_path: Path) -> None:
    frame = pl.concat([EVENTS, EVENTS.tail(1), EVENTS.with_columns(event_id=pl.lit(""))])
    table = scan_table(write(frame, tmp_path), Interactions).collect()
    checked = check_rows(table, Interactions)
    assert checked.good["event_id"].to_list() == ["1"]
    assert checked.good.height + checked.bad.height == table.height
    assert checked.bad["reason"].to_list() == [
        "primary_key",
        "primary_key",
        "primary_key; event_id|min_length",
        "primary_key; event_id|min_length",
    ]
    assert [(each.rule, each.count) for each in checked.failures] == [
        ("primary_key", 4),
        ("event_id|min_length", 2),
    ]
    assert checked.failures[0].first["event_id"] == "2"
