"""A small workspace without a fault, and what is found in it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from recsys.labels.grades import LabelSettings
from recsys.labels.split import SplitSettings
from recsys.ranker.settings import RankerSettings
from recsys.text.settings import TextSettings
from recsys.workspace.config import WorkspaceConfig
from recsys.workspace.findings import ValidationReport
from recsys.workspace.validate import validate
from recsys.workspace.workspace import Workspace

START = datetime(2025, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
DAYS = 48
NOW = START + (DAYS + 20) * DAY
WINDOW = timedelta(hours=24)


def config(**labels: object) -> WorkspaceConfig:
    return WorkspaceConfig(
        name="tiny",
        data_origin="simulated",
        slate_source="logged",
        attributes={"brand": "text"},
        labels=LabelSettings.model_validate(labels),
        split=SplitSettings(
            text_end=START + 12 * DAY,
            ranker_end=START + 24 * DAY,
            validation_end=START + 36 * DAY,
        ),
        text=TextSettings(batch_slates=2),
        ranker=RankerSettings(min_data_in_leaf=1),
    )


def items() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "item_id": ["a", "b"],
            "title": ["Mug", ""],
            "tags": [[], ["blue"]],
            "brand": ["Acme", None],
        }
    )


def impressions() -> pl.DataFrame:
    """A slate of two each noon."""
    days = [day for day in range(DAYS) for _ in "ab"]
    return pl.DataFrame(
        {
            "request_id": [f"r{day}" for day in days],
            "item_id": ["a", "b"] * DAYS,
            "user_id": ["u"] * len(days),
            "position": pl.Series([1, 2] * DAYS, dtype=pl.Int32),
            "timestamp": [START + day * DAY + DAY / 2 for day in days],
        }
    )


def interactions() -> pl.DataFrame:
    """A click on the first candidate of each slate, an hour later."""
    return pl.DataFrame(
        {
            "event_id": [f"e{day}" for day in range(DAYS)],
            "kind": ["click"] * DAYS,
            "user_id": ["u"] * DAYS,
            "item_id": ["a"] * DAYS,
            "request_id": [f"r{day}" for day in range(DAYS)],
            "timestamp": [START + day * DAY + DAY / 2 + DAY / 24 for day in range(DAYS)],
        }
    )


class World:
    """A workspace without a fault, whose tables a test may spoil before it is checked."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = config()
        self.tables = {
            "items": items(),
            "impressions": impressions(),
            "interactions": interactions(),
        }

    def write(self) -> None:
        for name, frame in self.tables.items():
            frame.write_parquet(self.root / f"{name}.parquet")

    def check(self) -> ValidationReport:
        self.write()
        return validate(Workspace(self.root, self.config), now=NOW)

    def change(self, table: str, *columns: pl.Expr) -> None:
        self.tables[table] = self.tables[table].with_columns(*columns)

    def add(self, table: str, row: int, *columns: pl.Expr) -> None:
        frame = self.tables[table]
        self.tables[table] = pl.concat([frame, frame[row].with_columns(*columns)])


def broken(report: ValidationReport) -> dict[str, tuple[str, int]]:
    return {
        f"{each.table} {each.rule}": (each.severity, each.count)
        for each in report.findings
        if each.count
    }


def first(report: ValidationReport, rule: str) -> str:
    return next(e.first for e in report.findings if f"{e.table} {e.rule}" == rule)
