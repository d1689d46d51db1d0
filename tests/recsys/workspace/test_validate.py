from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TypeVar

import polars as pl
import pytest

from data_contracts.errors import DataError
from data_contracts.events import Impressions, Interactions
from data_contracts.export import rule_names
from features.kinds.context import ContextWord
from features.settings import FeatureSettings
from recsys.workspace.backfill import log_tables
from recsys.workspace.config import TableSettings
from recsys.workspace.findings import Finding, ValidationReport, render
from recsys.workspace.validate import validate
from recsys.workspace.workspace import Workspace
from tests.recsys.workspace.worlds import (
    DAY,
    DAYS,
    NOW,
    START,
    WINDOW,
    World,
    broken,
    first,
    impressions,
    interactions,
    items,
)

T = TypeVar("T")


def test_a_good_workspace_has_a_line_for_every_rule_and_no_fault(world: World) -> None:
    report = world.check()
    assert broken(report) == {}
    assert report.ok
    checked = [(each.table, each.rule) for each in report.findings]
    assert len(checked) == len(set(checked))
    for table, contract in (("impressions", Impressions), ("interactions", Interactions)):
        assert {(table, rule) for rule in rule_names(contract)} < set(checked)
    assert not (world.root / "rejected").exists()


@pytest.mark.parametrize("table", ["items", "impressions", "interactions"])
def test_an_unreadable_table_is_one_error_and_the_others_are_checked(
    table: str, world: World
) -> None:
    world.tables[table] = world.tables[table].drop("item_id")
    world.change("interactions", pl.lit("").alias("event_id"))
    report = world.check()
    assert not report.ok
    found = broken(report)
    assert found[f"{table} readable"] == ("error", 1)
    assert "['item_id']" in first(report, f"{table} readable")
    assert "what to do" in first(report, f"{table} readable")
    if table != "interactions":
        assert found["interactions event_id|min_length"] == ("error", DAYS)


def test_missing_empty_and_corrupt_files_are_errors_of_their_table(world: World) -> None:
    world.check()
    (world.root / "items.parquet").unlink()
    (world.root / "impressions.parquet").write_bytes(b"PAR1 no more")
    interactions().clear().write_parquet(world.root / "interactions.parquet")
    report = validate(Workspace(world.root, world.config), now=NOW)
    assert broken(report) == {
        f"{table} readable": ("error", 1) for table in ("items", "impressions", "interactions")
    }


def test_a_value_that_does_not_fit_its_column_is_an_error(world: World) -> None:
    world.change("impressions", pl.lit(2**40, dtype=pl.Int64).alias("position"))
    report = world.check()
    assert broken(report)["impressions readable"] == ("error", 1)
    assert "does not fit" in first(report, "impressions readable")


def test_rejected_rows_are_written_with_their_reasons_and_removed_when_mended(
    world: World,
) -> None:
    good = world.tables["impressions"]
    world.change(
        "impressions",
        pl.when(pl.col("position") == 2).then(0).otherwise("position").alias("position"),
    )
    report = world.check()
    assert broken(report)["impressions position|min"] == ("error", DAYS)
    path = world.root / "rejected" / "impressions.parquet"
    assert report.rejected == {"impressions": path}
    rejected = pl.read_parquet(path)
    assert rejected["reason"].to_list() == ["position|min"] * DAYS
    assert rejected["item_id"].unique().to_list() == ["b"]
    assert "item_id='b'" in first(report, "impressions position|min")

    world.tables["impressions"] = good
    assert world.check().rejected == {}
    assert not path.exists()


def known_at(moment: datetime) -> pl.Expr:
    return pl.lit(moment, dtype=pl.Datetime("us", "UTC")).alias("ingested_at")


def test_duplicates_are_warned_of_and_the_copy_known_first_is_kept(world: World) -> None:
    world.change("interactions", known_at(START + (DAYS + 2) * DAY))
    world.add("interactions", 3)
    world.add("interactions", 3, known_at(START + (DAYS + 3) * DAY))
    world.add("interactions", 3, known_at(START + (DAYS + 1) * DAY))
    report = world.check()
    assert broken(report) == {
        "interactions duplicate": ("warning", 3),
        "interactions late": ("info", DAYS),
        "interactions too_late": ("warning", DAYS + 2 - world.config.features.late_days),
    }
    assert report.ok
    rejected = pl.read_parquet(report.rejected["interactions"])
    assert rejected.select("event_id", "reason").rows() == [("e3", "duplicate")] * 3
    moments = [START + (DAYS + days) * DAY for days in (2, 2, 3)]
    assert rejected["ingested_at"].to_list() == moments


def test_late_events_are_told_and_those_features_set_aside_are_warned_of(world: World) -> None:
    arrival = pl.col("timestamp") + world.config.features.late_days * DAY
    world.change("interactions", arrival.alias("ingested_at"))
    found = broken(world.check())
    assert found == {"interactions late": ("info", DAYS)}
    world.change("interactions", pl.col("ingested_at") + timedelta(microseconds=1))
    report = world.check()
    assert report.ok
    assert broken(report) == found | {"interactions too_late": ("warning", DAYS)}


def test_copies_that_tell_something_else_are_told_apart(world: World) -> None:
    world.change("interactions", pl.lit("s").alias("session_id"))
    world.add("interactions", 3, pl.lit("t").alias("session_id"))
    report = world.check()
    assert report.ok
    assert broken(report) == {
        "interactions duplicate": ("warning", 1),
        "interactions duplicate_differs": ("warning", 1),
    }
    assert "session_id='t'" in first(report, "interactions duplicate_differs")


@pytest.mark.parametrize(
    "other",
    [
        pl.lit("purchase").alias("kind"),
        pl.lit("b").alias("item_id"),
        pl.lit("somebody else").alias("user_id"),
    ],
)
def test_an_id_of_several_events_of_a_day_is_an_error(other: pl.Expr, world: World) -> None:
    world.add("interactions", 3, other)
    world.add("interactions", 3, pl.lit(None, dtype=pl.String).alias("user_id"))
    report = world.check()
    assert broken(report) == {
        "interactions duplicate": ("warning", 2),
        "interactions duplicate_differs": ("warning", 1),
        "interactions event_id_of_several_events": ("error", 1),
    }
    told = first(report, "interactions event_id_of_several_events")
    assert "event_id='e3'" in told
    assert "an order's" in told


def test_an_order_is_no_event(world: World) -> None:
    """A line of an order each, under the order's identifier."""
    world.change("interactions", pl.lit("order 1").alias("event_id"))
    noon = START + 4 * DAY + DAY / 2
    world.change("interactions", pl.lit(noon, dtype=pl.Datetime("us", "UTC")).alias("timestamp"))
    item = pl.int_range(DAYS).cast(pl.String)
    world.change("interactions", item.alias("item_id"))
    found = broken(world.check())
    assert found["interactions event_id_of_several_events"] == ("error", DAYS - 1)


def sent(key: str, values: list[str | None]) -> pl.Series:
    pairs = [None if value is None else [{"key": key, "value": value}] for value in values]
    return pl.Series("context", pairs, dtype=Impressions.context.dtype)


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        ("n/a", "leave the key out"),
        ("1,5", "a decimal comma"),
        ("1e39", "float32"),
        ("nan", "leave the key out"),
        ("", "leave the key out"),
    ],
)
def test_a_number_the_caller_sent_that_is_none_is_an_error(
    value: str, cause: str, world: World
) -> None:
    features = world.config.features.model_copy(update={"given": ("bm25",)})
    world.config = world.config.model_copy(update={"features": features})
    values = ["1.5", None, value, value] * (DAYS // 2)
    world.tables["impressions"] = world.tables["impressions"].with_columns(sent("bm25", values))
    report = world.check()
    assert broken(report) == {"impressions context_not_a_number": ("error", DAYS)}
    told = first(report, "impressions context_not_a_number")
    assert repr(value) in told
    assert cause in told
    with pytest.raises(DataError, match="no number that a float32 can hold"):
        log_tables(Workspace(world.root, world.config))


def test_a_number_that_was_never_sent_is_an_error_with_what_may_be_meant(world: World) -> None:
    features = world.config.features.model_copy(update={"given": ("bm25",)})
    world.config = world.config.model_copy(update={"features": features})
    assert broken(world.check()) == {"impressions context_never_sent": ("error", 1)}
    values: list[str | None] = ["1.5", "2"] * DAYS
    world.tables["impressions"] = world.tables["impressions"].with_columns(sent("BM_25", values))
    told = first(world.check(), "impressions context_never_sent")
    assert "'BM_25' may be meant" in told
    with pytest.raises(DataError, match="no impression has 'bm25'"):
        log_tables(Workspace(world.root, world.config))
    world.tables["impressions"] = world.tables["impressions"].with_columns(sent("bm25", values))
    assert broken(world.check()) == {}


def test_a_word_that_was_never_sent_is_an_error(world: World) -> None:
    columns = (ContextWord("device", ("phone",)),)
    features = FeatureSettings(columns=columns)
    world.config = world.config.model_copy(update={"features": features})
    assert broken(world.check()) == {"impressions context_never_sent": ("error", 1)}


@pytest.mark.parametrize("table", ["items", "impressions", "interactions"])
def test_columns_that_nobody_reads_are_warned_of(table: str, world: World) -> None:
    world.change(table, pl.lit("x").alias("shop"), pl.lit("x").alias("sessionId"))
    report = world.check()
    assert report.ok
    assert broken(report) == {f"{table} column_nobody_reads": ("warning", 2)}
    meant = "" if table == "items" else ", 'session_id' may be meant"
    assert first(report, f"{table} column_nobody_reads") == f"'sessionId'{meant}; 'shop'"


def test_a_declared_column_without_any_value_is_warned_of(world: World) -> None:
    brand = pl.Series("brand", [None, " "], dtype=pl.String)
    world.tables["items"] = world.tables["items"].with_columns(brand)
    report = world.check()
    assert broken(report) == {"items declared_without_values": ("warning", 1)}
    assert first(report, "items declared_without_values") == "brand"


def test_a_declared_column_that_the_file_lacks_is_an_error_everywhere(world: World) -> None:
    world.tables["items"] = items().rename({"brand": "Brand"})
    report = world.check()
    assert broken(report) == {"items readable": ("error", 1)}
    assert "'Brand' may be meant" in first(report, "items readable")
    with pytest.raises(DataError, match="found: table items"):
        log_tables(Workspace(world.root, world.config))


@pytest.mark.parametrize("column", ["user_id", "session_id"])
def test_an_empty_user_is_told_as_what_a_text_file_has_for_a_guest(
    column: str, world: World
) -> None:
    world.change("interactions", pl.lit("").alias(column))
    report = world.check()
    assert broken(report)[f"interactions {column}|min_length"] == ("error", DAYS)
    assert "write null" in first(report, f"interactions {column}|min_length")


@pytest.mark.parametrize("value", [float("inf"), 1e39, -1e39])
def test_a_number_that_no_float32_holds_is_an_error(value: float, world: World) -> None:
    world.config = world.config.model_copy(update={"attributes": {"weight": "number"}})
    world.tables["items"] = items().drop("brand").with_columns(weight=pl.Series([1.0, value]))
    found = broken(world.check())
    assert {count for severity, count in found.values() if severity == "error"} == {1}


def test_an_id_on_another_day_is_another_event(world: World) -> None:
    world.add("interactions", 3, pl.col("timestamp") + DAY, pl.lit("r4").alias("request_id"))
    report = world.check()
    assert report.ok
    assert broken(report) == {"interactions event_id_on_several_days": ("warning", 2)}


def test_rows_without_id_or_time_are_no_duplicates(world: World) -> None:
    for column in ("event_id", "timestamp"):
        nothing = pl.lit(None).cast(world.tables["interactions"].schema[column]).alias(column)
        world.add("interactions", 3, nothing)
        world.add("interactions", 3, nothing)
    found = broken(world.check())
    assert found["interactions event_id|nullability"] == ("error", 2)
    assert found["interactions timestamp|nullability"] == ("error", 2)
    assert "interactions duplicate" not in found


def test_events_of_the_future_are_rejected(world: World) -> None:
    later = pl.lit(NOW + timedelta(microseconds=1), dtype=pl.Datetime("us", "UTC"))
    world.add("interactions", 0, later.alias("timestamp"), pl.lit("late").alias("event_id"))
    world.add("impressions", 0, later.alias("timestamp"), pl.lit("late").alias("request_id"))
    at_now = pl.lit(NOW, dtype=pl.Datetime("us", "UTC"))
    world.add("interactions", 0, at_now.alias("timestamp"), pl.lit("now").alias("event_id"))
    report = world.check()
    assert broken(report) == {
        "impressions in_the_future": ("error", 1),
        "interactions in_the_future": ("error", 1),
    }
    rejected = pl.read_parquet(report.rejected["interactions"])
    assert rejected.select("event_id", "reason").rows() == [("late", "in_the_future")]


@pytest.mark.parametrize(
    ("day", "severity", "rows"), [(1, "warning", 1), (20, "error", 20), (0, "warning", 0)]
)
def test_rows_before_an_item_was_known_are_counted_and_many_are_an_error(
    world: World, day: int, severity: str, rows: int
) -> None:
    known = pl.when(pl.col("item_id") == "a").then(pl.lit(START + day * DAY))
    world.tables["items"] = items().with_columns(known.alias("updated_at"))
    found = broken(world.check())
    assert found.get("interactions item_unknown_then", ("warning", 0)) == (severity, rows)
    assert found.get("impressions item_unknown_then", ("warning", 0))[1] == rows
    if rows > 1:
        assert "leave updated_at out" in first(world.check(), "interactions item_unknown_then")


def test_a_version_that_came_after_a_newer_one_is_told(world: World) -> None:
    newer, late = items()[:1], items()[:1]
    world.tables["items"] = pl.concat(
        [
            items().with_columns(updated_at=pl.lit(None, pl.Datetime("us", "UTC"))),
            newer.with_columns(updated_at=START + 2 * DAY),
            late.with_columns(updated_at=START + DAY),
        ]
    ).with_columns(
        pl.when(pl.col("updated_at") == START + DAY)
        .then(pl.lit(START + 9 * DAY))
        .alias("ingested_at")
    )
    report = world.check()
    assert broken(report) == {"items version_too_late": ("info", 1)}
    assert "2025-01-02" in first(report, "items version_too_late")


def test_unknown_items_and_orphans_are_counted_in_rows(world: World) -> None:
    unknown = pl.when(pl.col("item_id") == "a").then(pl.lit("x")).otherwise("item_id")
    world.tables["items"] = items().filter(pl.col("item_id") != "b")
    world.change("interactions", unknown.alias("item_id"))
    world.change("impressions", unknown.alias("item_id"))
    world.add("interactions", 0, pl.lit("gone").alias("request_id"), pl.lit("o").alias("event_id"))
    none = pl.lit(None, dtype=pl.String).alias("request_id")
    world.add("interactions", 0, none, pl.lit("free").alias("event_id"))
    report = world.check()
    assert broken(report) == {
        "impressions unknown_item": ("warning", 2 * DAYS),
        "interactions unknown_item": ("warning", DAYS + 2),
        "interactions orphan": ("warning", 1),
        "split text_without_text": ("error", 1),
    }
    assert "request_id='gone'" in first(report, "interactions orphan")


@pytest.mark.parametrize("blank", ["  ", "...", "\u200d", "\u3164", "\ufe0f"])
def test_items_without_any_text_of_the_template_are_counted(world: World, blank: str) -> None:
    empty = {"title": [blank], "tags": [[blank, ""]], "description": [None], "brand": ["Acme"]}
    silent_item = pl.DataFrame(
        {"item_id": ["c"], **empty}, schema_overrides={"tags": pl.List(pl.String)}
    )
    world.tables["items"] = pl.concat([items(), silent_item], how="diagonal_relaxed")
    report = world.check()
    assert broken(report) == {"items without_text": ("warning", 1)}
    assert "item_id='c'" in first(report, "items without_text")
    speaking = world.config.text.model_copy(update={"template": ("title", "brand")})
    world.config = world.config.model_copy(update={"text": speaking})
    report = world.check()
    assert broken(report) == {
        "items without_text": ("warning", 1),
        "split text_without_text": ("error", 1),
    }
    assert "item_id='b'" in first(report, "items without_text")


def test_kinds_without_a_grade_and_guests_are_counted(world: World) -> None:
    guest = pl.lit(None, dtype=pl.String).alias("user_id")
    wish = pl.lit("wish").alias("kind")
    world.add("interactions", 0, guest, wish, pl.lit("w").alias("event_id"))
    report = world.check()
    assert broken(report) == {
        "interactions kind_without_grade": ("warning", 1),
        "interactions without_user": ("info", 1),
    }
    assert first(report, "interactions without_user") == f"{1 / (DAYS + 1):.1%} of interactions"


def test_a_rate_above_1_in_the_log_is_an_error(world: World) -> None:
    world.change("interactions", pl.lit("purchase").alias("kind"))
    report = world.check()
    assert broken(report)["interactions rate_above_1"] == ("error", 1)
    assert "log every click" in first(report, "interactions rate_above_1")


def test_a_few_rows_of_the_future_are_warned_of_and_dates_that_stand_alone(world: World) -> None:
    slates = [
        impressions().with_columns(pl.format(f"{n}{{}}", "request_id").alias("request_id"))
        for n in range(2)
    ]
    world.tables["impressions"] = pl.concat([impressions(), *slates])
    later = pl.lit(NOW + 400 * DAY, dtype=pl.Datetime("us", "UTC")).alias("timestamp")
    world.add("impressions", 0, later, pl.lit("ahead").alias("request_id"))
    early = pl.lit(START - 400 * DAY, dtype=pl.Datetime("us", "UTC")).alias("timestamp")
    world.add("impressions", 0, early, pl.lit("early").alias("request_id"))
    report = world.check()
    assert broken(report) == {
        "impressions in_the_future": ("warning", 1),
        "log dates_far_from_all_others": ("warning", 1),
    }
    assert "only 1 of" in first(report, "log dates_far_from_all_others")
    assert report.ok


def test_an_interaction_without_a_request_labels_by_user_and_item(world: World) -> None:
    none = pl.lit(None, dtype=pl.String).alias("request_id")
    world.change("interactions", none)
    assert broken(world.check()) == {}
    world.change("interactions", pl.lit("somebody else").alias("user_id"))
    assert len(broken(world.check())) == 4


@pytest.mark.parametrize(
    ("delay", "positive"),
    [
        (timedelta(0), True),
        (WINDOW - timedelta(microseconds=1), True),
        (WINDOW, False),
        (-timedelta(microseconds=1), False),
    ],
)
def test_only_interactions_within_the_window_label(
    delay: timedelta, positive: bool, world: World
) -> None:
    shown = world.tables["impressions"].filter(pl.col("item_id") == "a")["timestamp"]
    world.change("interactions", pl.lit(shown + delay).alias("timestamp"))
    faults = [rule for rule in broken(world.check()) if rule.endswith("without_positives")]
    assert len(faults) == (0 if positive else 4)


def test_each_rule_is_one_line_with_its_count(world: World) -> None:
    world.add("interactions", 3)
    world.change("impressions", pl.lit(0, dtype=pl.Int32).alias("position"))
    report = world.check()
    lines = [line.plain for line in render(report)]
    assert len(lines) == len(report.findings) + 1
    for line, each in zip(lines, report.findings, strict=False):
        words = line.split(maxsplit=4)
        assert words[0] == (each.severity if each.count else "ok")
        assert words[1:4] == [each.table, each.rule, str(each.count)]
        assert each.first in line
        assert "\n" not in line
    assert lines[-1].startswith("not fit for training: 2 rules with errors, ")
    assert str(world.root / "rejected" / "impressions.parquet") in lines[-1]


def test_warnings_alone_are_fit_for_training() -> None:
    report = ValidationReport((Finding("items", "without_text", "warning", 3, "x"),), {})
    assert report.ok
    assert [line.plain for line in render(report)][-1] == (
        "fit for training: 0 rules with errors, 1 with warnings"
    )


def test_long_rows_are_cut(world: World) -> None:
    world.change("impressions", pl.lit("word " * 200).alias("query"), pl.lit("x").alias("item_id"))
    assert len(first(world.check(), "impressions unknown_item")) <= 160


def test_tables_elsewhere_are_found_and_progress_is_told(world: World) -> None:
    world.check()
    folder = world.root / "elsewhere"
    folder.mkdir()
    (world.root / "items.parquet").rename(folder / "goods.parquet")
    tables = TableSettings(items=str(folder / "goods.parquet"))
    told: list[int] = []

    def track(steps: Iterable[T], label: str, total: int) -> Iterable[T]:
        told.append(total)
        return steps

    moved = world.config.model_copy(update={"tables": tables})
    assert validate(Workspace(world.root, moved), now=NOW, track=track).ok
    assert told == [3]
