from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import dataframely as dy
import polars as pl
import pytest

from data_contracts.errors import DataError
from data_contracts.events import Interactions
from data_contracts.items import Items
from data_contracts.reading import check_rows, scan_table, unread_columns, with_columns

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


WITHOUT_ZONE = EVENTS.with_columns(pl.col("timestamp").dt.replace_time_zone(None))
NUMBERS = EVENTS.with_columns(item_id=pl.Series([1, 2]))


def test_a_glob_reads_all_its_files_in_order(tmp_path: Path) -> None:
    EVENTS.head(1).write_parquet(tmp_path / "day-1.parquet")
    EVENTS.clear().write_parquet(tmp_path / "day-2.parquet")
    EVENTS.tail(1).write_parquet(tmp_path / "day-3.parquet")
    found = scan_table(str(tmp_path / "day-*.parquet"), Interactions).collect()
    assert found["event_id"].to_list() == ["1", "2"]


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize(
    ("odd", "told"),
    [
        (WITHOUT_ZONE, "a time without a zone"),
        (NUMBERS, "column item_id of table interactions"),
        (EVENTS.drop("kind"), "has columns"),
    ],
)
def test_every_file_of_a_table_is_checked_and_the_odd_one_is_named(
    place: int, odd: pl.DataFrame, told: str, tmp_path: Path
) -> None:
    for day in range(3):
        (odd if day == place else EVENTS).write_parquet(tmp_path / f"day-{day}.parquet")
    with pytest.raises(DataError, match=told) as refusal:
        scan_table(str(tmp_path / "day-*.parquet"), Interactions)
    assert f"day-{place}.parquet" in refusal.value.found


def test_a_file_among_others_that_is_no_parquet_file_is_named(tmp_path: Path) -> None:
    for day in (1, 2):
        EVENTS.write_parquet(tmp_path / f"day-{day}.parquet")
    (tmp_path / "day-2.csv").write_text("event_id,kind\n1,click\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"day-2\.csv cannot be read"):
        scan_table(str(tmp_path / "day-*"), Interactions)


def test_files_of_other_types_that_hold_the_same_values_are_one_table(tmp_path: Path) -> None:
    berlin = pl.col("timestamp").dt.convert_time_zone("Europe/Berlin")
    variants = [
        EVENTS,
        EVENTS.with_columns(berlin.dt.cast_time_unit("ms"), pl.col("kind").cast(pl.Categorical)),
        EVENTS.with_columns(value=pl.Series([1, 2], dtype=pl.Int8), beyond=pl.lit(1)),
        EVENTS.select(reversed(EVENTS.columns)).with_columns(user_id=pl.lit(None)),
        EVENTS,
    ]
    for day, frame in enumerate(variants):
        frame.write_parquet(tmp_path / f"day-{day}.parquet")
    found = scan_table(str(tmp_path / "*.parquet"), Interactions).collect()
    assert found["event_id"].to_list() == ["1", "2"] * len(variants)
    assert found["timestamp"].to_list() == [NOW] * (2 * len(variants))
    assert found["kind"].to_list() == ["click", "purchase"] * len(variants)
    assert found["value"].to_list() == [None] * 4 + [1.0, 2.0] + [None] * 4


def test_a_folder_whose_folders_name_a_column_is_a_table(tmp_path: Path) -> None:
    for kind in ("click", "purchase"):
        folder = tmp_path / f"kind={kind}"
        folder.mkdir()
        EVENTS.filter(pl.col("kind") == kind).drop("kind").write_parquet(folder / "1.parquet")
    found = scan_table(str(tmp_path), Interactions).collect()
    assert found.select("event_id", "kind").rows() == [("1", "click"), ("2", "purchase")]


def test_a_declared_column_that_no_file_has_is_named_with_what_may_be_meant(
    tmp_path: Path,
) -> None:
    wider = with_columns(Items, {"colour": dy.String(nullable=True)})
    frame = pl.DataFrame({"item_id": ["a"], "title": ["Mug"], "color": ["blue"]})
    path = write(frame, tmp_path)
    with pytest.raises(DataError) as refusal:
        scan_table(path, wider, declared=["colour"])
    assert refusal.value.expected == "also the declared ones ['colour'], 'color' may be meant"
    assert scan_table(path, wider).collect()["colour"].to_list() == [None]


def test_a_declared_column_may_be_absent_from_older_files(tmp_path: Path) -> None:
    wider = with_columns(Items, {"colour": dy.String(nullable=True)})
    for day, row in enumerate(({"item_id": "a"}, {"item_id": "b", "colour": "blue"})):
        pl.DataFrame([{**row, "title": "Mug"}]).write_parquet(tmp_path / f"{day}.parquet")
    found = scan_table(str(tmp_path / "*.parquet"), wider, declared=["colour"]).collect()
    assert found["colour"].to_list() == [None, "blue"]


def test_columns_that_nobody_reads_are_listed_with_what_may_be_meant(tmp_path: Path) -> None:
    frame = EVENTS.with_columns(userId=pl.lit("u"), shop=pl.lit("s"))
    path = write(frame, tmp_path)
    assert unread_columns(path, Interactions) == ["'shop'", "'userId', 'user_id' may be meant"]
    assert unread_columns(write(EVENTS, tmp_path), Interactions) == []


@pytest.mark.parametrize("name", ["columns", "filter", "cast", "validate", "__doc__", "a b", "1"])
def test_a_declared_column_may_have_any_name(name: str, tmp_path: Path) -> None:
    wider = with_columns(Items, {name: dy.String(nullable=True)})
    frame = pl.DataFrame({"item_id": ["a"], "title": ["Mug"], name: ["Acme"]})
    checked = check_rows(scan_table(write(frame, tmp_path), wider).collect(), wider)
    assert checked.good[name].to_list() == ["Acme"]


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
