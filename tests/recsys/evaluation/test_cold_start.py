"""A simulated launch on the tiny shop: nothing of the launched items is known before the test."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data_contracts.errors import UsageError
from features.arrays.clock import NO_TIME
from features.counter_spec import ITEM
from features.kinds.counts import WindowCount
from features.log.log import Log
from recsys.evaluation.cold_start import AGAINST_ALL, COLD, LAUNCHED, Launch, evaluate_cold, without
from recsys.evaluation.result import (
    BEHAVIOUR_ONLY,
    POPULARITY,
    TEXT_AND_BEHAVIOUR,
    EvaluationResult,
)
from recsys.metrics.ranking import AUC
from recsys.workspace.feature_sets import features_of
from recsys.workspace.workspace import Workspace

SHARE = 0.2


def test_items_are_launched_or_practised_on_or_neither() -> None:
    launch = Launch.draw(600, 0.15)
    assert launch.launched.sum() == 0.15 * 600
    assert launch.practised.sum() == 0.15 * 600 / 3
    assert not (launch.launched & launch.practised).any()
    np.testing.assert_array_equal(launch.withheld, launch.launched | launch.practised)
    assert (launch.launched != Launch.draw(600, 0.15, seed=1).launched).any()


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.4])
def test_a_share_that_leaves_nothing_is_refused(share: float) -> None:
    with pytest.raises(UsageError, match="items"):
        Launch.draw(600, share)


def test_a_log_without_items_knows_only_of_the_others(tiny_log: Log) -> None:
    withheld = np.arange(len(tiny_log.catalogue)) % 2 == 0
    blind = without(tiny_log, withheld)
    item = tiny_log.interactions.item
    kept = (item < 0) | (item % 2 == 1)
    np.testing.assert_array_equal(blind.interactions.item, item[kept])
    np.testing.assert_array_equal(blind.interactions.time, tiny_log.interactions.time[kept])
    assert (blind.catalogue.listed_at[withheld] == NO_TIME).all()
    listed = tiny_log.catalogue.listed_at
    np.testing.assert_array_equal(blind.catalogue.listed_at[~withheld], listed[~withheld])


@pytest.fixture(scope="module")
def shop(trained_workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The same shop with results of its own."""
    config = trained_workspace.config
    tables = {
        name: str((trained_workspace.root / place).resolve())
        for name, place in config.tables.model_dump().items()
    }
    moved = config.model_copy(update={"tables": config.tables.model_copy(update=tables)})
    return Workspace(tmp_path_factory.mktemp("launch"), moved)


@pytest.fixture(scope="module")
def result(shop: Workspace) -> EvaluationResult:
    return evaluate_cold(shop, SHARE, 1, "recsys evaluate shop --cold")


def test_both_slices_are_told_and_popularity_is_blind(result: EvaluationResult) -> None:
    assert result.slices == [LAUNCHED, AGAINST_ALL]
    blind = result.estimate(LAUNCHED, POPULARITY, AUC)
    assert blind is not None
    assert blind.mean == 0.5
    assert {(each.model, each.baseline) for each in result.differences} == {
        (TEXT_AND_BEHAVIOUR, BEHAVIOUR_ONLY)
    }
    assert "Simulated launch of" in result.note


def test_no_feature_counts_anything_of_the_launched_items(
    result: EvaluationResult, shop: Workspace, tiny_log: Log
) -> None:
    assert result.values
    launch = Launch.draw(len(tiny_log.catalogue), SHARE)
    withheld = pl.Series(tiny_log.catalogue.item_ids).filter(launch.withheld)
    apart = Workspace(shop.cold(SHARE), shop.config)
    rows = pl.read_parquet(apart.rows / "*.parquet")
    of_withheld = rows.filter(pl.col("item_id").is_in(withheld.implode()))
    assert of_withheld.height
    counted = [
        feature.name
        for feature in features_of(shop.config).features
        if isinstance(feature, WindowCount)
        and ITEM in feature.key
        and all(spec.kind in shop.config.labels.grades for spec in feature.needs())
    ]
    assert counted
    # A guest has no counters of his own: those are missing, not nought.
    assert (np.nan_to_num(of_withheld.select(counted).to_numpy()) == 0).all()


def test_the_features_of_the_workspace_itself_are_left_alone(
    result: EvaluationResult, shop: Workspace
) -> None:
    assert result.values
    made = {path.name for path in Path(shop.root).iterdir()}
    assert made == {"cache", COLD, "features"}
    assert [path.name for path in (shop.root / "features").iterdir()] == ["log"]
