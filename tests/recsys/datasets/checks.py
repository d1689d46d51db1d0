"""What every imported workspace keeps, whatever its source."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from data_contracts.events import Impressions, Interactions
from data_contracts.items import Items
from data_contracts.reading import check_rows
from recsys.datasets.ledger import ImportReport
from recsys.datasets.write import REPORT_NAME
from recsys.workspace.workspace import TABLES, Workspace


def read_tables(target: Path) -> dict[str, pl.DataFrame]:
    workspace = Workspace.open(target)
    return {table: workspace.scan(table).collect() for table in TABLES}


def assert_is_workspace(target: Path, report: ImportReport) -> None:
    """Contracts hold, all that is referred to exists, labels agree, the report is complete."""
    workspace = Workspace.open(target)
    tables = read_tables(target)
    for table, frame in tables.items():
        checked = check_rows(frame, workspace.contract(table))
        assert checked.failures == [], table
        assert checked.good.height == frame.height == report.tables[table]
        written = pl.read_parquet(workspace.location(table)).columns
        assert written == workspace.contract(table).column_names()
    items, impressions, interactions = (tables[table] for table in TABLES)
    assert_items_are_known(items, impressions)
    assert_items_are_known(items, interactions)
    assert items.equals(items.sort("item_id", "updated_at", "ingested_at"))
    assert impressions.equals(impressions.sort("timestamp", "request_id", "position"))
    assert interactions.equals(interactions.sort("timestamp", "event_id"))
    assert_labels_point_to_impressions(impressions, interactions)
    saved = (target / REPORT_NAME).read_text(encoding="utf-8")
    assert ImportReport.model_validate_json(saved) == report


def assert_items_are_known(items: pl.DataFrame, events: pl.DataFrame) -> None:
    """The item of each event has a version by then; without a time it has one always."""
    always = datetime(1900, 1, 1, tzinfo=UTC)
    known = pl.max_horizontal(Items.updated_at.col, Items.ingested_at.col).fill_null(always)
    first = items.group_by(Items.item_id.name).agg(known.min().alias("known"))
    joined = events.join(first, on=Items.item_id.name, how="left")
    assert joined.select((pl.col("known") <= Interactions.timestamp.col).all()).item()
    assert joined["known"].null_count() == 0


def assert_labels_point_to_impressions(
    impressions: pl.DataFrame, interactions: pl.DataFrame
) -> None:
    """Each request has something bought and something not; labels come within the hour after."""
    labels = interactions.filter(pl.col("request_id").is_not_null())
    joined = labels.join(
        impressions, on=["request_id", "item_id", "user_id"], how="left", suffix="_shown"
    )
    delay = joined["timestamp"] - joined["timestamp_shown"]
    assert delay.null_count() == 0
    assert delay.dt.total_seconds().is_between(0, 3600, closed="left").all()
    shown = impressions.group_by(Impressions.request_id.name).len("shown")
    positive = labels.group_by(Interactions.request_id.name).len("positive")
    counts = shown.join(positive, on="request_id", how="left")
    assert (counts["positive"] > 0).all()
    assert (counts["positive"] < counts["shown"]).all()


def counts_of(report: ImportReport, ledger: str) -> dict[str, int]:
    """Rows by reason, set aside and changed together."""
    found = next(one for one in report.ledgers if one.name == ledger)
    return {count.reason: count.rows for count in (*found.set_aside, *found.changed)}


def rows_for(report: ImportReport, ledger: str, word: str) -> int:
    """Rows under the one reason of a ledger that holds `word`."""
    (rows,) = (rows for reason, rows in counts_of(report, ledger).items() if word in reason)
    return rows
