"""A bundle judges the same requests the same, whatever became of the catalogue meanwhile."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from data_contracts.events import Impressions
from data_contracts.items import Items
from recsys.evaluation.evaluate import evaluate
from recsys.evaluation.result import EvaluationResult
from recsys.training.data import TrainingData
from recsys.workspace.workspace import Workspace
from tests.worlds import copy_folder

Change = Callable[[pl.DataFrame, Workspace], pl.DataFrame]
NEW = "000 in front of all others"


def grown(items: pl.DataFrame, workspace: Workspace) -> pl.DataFrame:
    """Put an item in front that was always there, with a category of its own."""
    untimed = pl.lit(None, Items.updated_at.dtype)
    first = items[:1].with_columns(
        pl.lit(NEW).alias(Items.item_id.name),
        pl.lit("0 new").alias(Items.category.name),
        pl.lit("something new in front").alias(Items.title.name),
        untimed.alias(Items.updated_at.name),
        untimed.alias(Items.ingested_at.name),
    )
    return pl.concat([first, items])


def turned(items: pl.DataFrame, workspace: Workspace) -> pl.DataFrame:
    """Sort the rows the other way round."""
    return items.reverse()


def shrunk(items: pl.DataFrame, workspace: Workspace) -> pl.DataFrame:
    """Leave out the items that nobody was ever shown."""
    item = Items.item_id.name
    seen = workspace.scan("impressions").select(Impressions.item_id.name).unique().collect()
    left = items.join(seen, on=item, how="semi", maintain_order="left")
    assert left[item].n_unique() < items[item].n_unique()
    return left


@pytest.fixture(scope="module")
def result(coded_workspace: Workspace) -> EvaluationResult:
    data = TrainingData.open(coded_workspace)
    return evaluate(data, [coded_workspace.bundle()], "recsys evaluate tiny")


@pytest.fixture
def workspace(coded_workspace: Workspace, tmp_path: Path) -> Workspace:
    """A copy that a test may change."""
    return Workspace.open(copy_folder(coded_workspace.root, tmp_path / "coded"))


@pytest.mark.parametrize("change", [grown, turned, shrunk])
def test_the_figures_stay_when_the_catalogue_changes_beside_the_log(
    workspace: Workspace, result: EvaluationResult, change: Change
) -> None:
    path = Path(workspace.location("items"))
    change(pl.read_parquet(path), workspace).write_parquet(path)
    data = TrainingData.open(workspace)
    data.compute_features()
    found = evaluate(data, [workspace.bundle()], result.command)
    assert found.model_dump() == result.model_dump()


def test_a_value_that_the_bundle_has_not_seen_is_missing_and_counted(
    workspace: Workspace, result: EvaluationResult
) -> None:
    path = Path(workspace.location("items"))
    items = pl.read_parquet(path)
    lost = items[Items.category.name].drop_nulls()[0]
    renamed = items.with_columns(
        Items.category.col.replace(lost, "another").alias(Items.category.name)
    )
    renamed.write_parquet(path)
    data = TrainingData.open(workspace)
    data.compute_features()
    found = evaluate(data, [workspace.bundle()], result.command)
    assert result.unseen_values == 0
    log, rows = data.log, data.slates(data.config.periods.test, 1).slates.rows
    version = log.catalogue.versions(rows.item, rows.time)
    code = log.catalogue.values[Items.category.name].index("another")
    count = (log.catalogue.attributes[Items.category.name][version[version >= 0]] == code).sum()
    assert found.unseen_values == count > 0
