"""A simulated launch on the tiny shop: nothing of the launched items is known before the test."""

import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import get_args

import numpy as np
import polars as pl
import pytest

from data_contracts.errors import UsageError
from data_contracts.events import Impressions, Interactions
from features.arrays.clock import NO_TIME
from features.counter_spec import ITEM
from features.kinds.counts import WindowCount
from features.log.log import Log
from recsys.bundle.bundle import TEXT_RECORD
from recsys.bundle.versions import open_version
from recsys.evaluation.cold_start import AGAINST_ALL, COLD, LAUNCHED, Launch, evaluate_cold, without
from recsys.evaluation.result import (
    BEHAVIOUR_ONLY,
    POPULARITY,
    POPULARITY_RATE,
    TEXT_AND_BEHAVIOUR,
    TEXT_ONLY,
    EvaluationResult,
)
from recsys.metrics.ranking import AUC
from recsys.text.settings import Mode
from recsys.text.training.model import TextRecord
from recsys.training.data import TrainingData
from recsys.workspace.config import CONFIG_NAME, write_config
from recsys.workspace.feature_sets import features_of
from recsys.workspace.workspace import TABLES, Workspace
from tests.worlds import copy_folder, listing

SHARE = 0.2
QUICK = {"steps": 12, "check_every": 3, "learning_rate": 0.02}


def test_items_are_launched_or_practised_on_or_neither() -> None:
    items = [f"i{n}" for n in range(600)]
    launch = Launch.draw(items, 0.15)
    assert launch.launched.sum() == 0.15 * 600
    assert launch.practised.sum() == 0.15 * 600 / 3
    assert not (launch.launched & launch.practised).any()
    np.testing.assert_array_equal(launch.withheld, launch.launched | launch.practised)
    again = Launch.draw(items[::-1], 0.15)
    np.testing.assert_array_equal(again.launched, launch.launched[::-1])
    assert (launch.launched != Launch.draw(items, 0.15, seed=1).launched).any()


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.4])
def test_a_share_that_leaves_nothing_is_refused(share: float) -> None:
    with pytest.raises(UsageError, match="items"):
        Launch.draw([f"i{n}" for n in range(600)], share)


def test_a_log_without_items_knows_only_of_the_others(tiny_log: Log) -> None:
    withheld = np.arange(len(tiny_log.catalogue)) % 2 == 0
    blind = without(tiny_log, withheld)
    item = tiny_log.interactions.item
    kept = (item < 0) | (item % 2 == 1)
    np.testing.assert_array_equal(blind.interactions.item, item[kept])
    np.testing.assert_array_equal(blind.interactions.time, tiny_log.interactions.time[kept])
    hidden = withheld[tiny_log.catalogue.item_of_version]
    assert (blind.catalogue.listed_at[hidden] == NO_TIME).all()
    listed = tiny_log.catalogue.listed_at
    np.testing.assert_array_equal(blind.catalogue.listed_at[~hidden], listed[~hidden])


@dataclass(frozen=True)
class Shops:
    """Two shops that differ only in what a launch must not know.

    Attributes:
        one: A shop.
        other: What users did with the launched items before the test is another thing there, and
            of the launched items others were shown, alone in their requests.
    """

    one: Workspace
    other: Workspace


@pytest.fixture(scope="module")
def shops(
    trained_workspace: Workspace, tiny_log: Log, tmp_path_factory: pytest.TempPathFactory
) -> Shops:
    launched = tiny_log.item_ids.filter(Launch.draw(tiny_log.catalogue.item_ids, SHARE).launched)
    half = len(launched) // 2
    config = trained_workspace.config
    made = []
    for shown, done in ((launched[:half], None), (launched[-half:], "purchase")):
        root = tmp_path_factory.mktemp("launch") / "shop"
        root.mkdir()
        tables = {table: trained_workspace.scan(table).collect() for table in TABLES}
        time = config.split.validation_end - timedelta(hours=2)
        tables["impressions"] = with_requests(tables["impressions"], shown, time)
        if done is not None:
            earlier = Interactions.timestamp.col < config.split.validation_end
            known = earlier & Interactions.item_id.col.is_in(launched.implode())
            kind = pl.when(known).then(pl.lit(done)).otherwise(Interactions.kind.col)
            tables["interactions"] = tables["interactions"].with_columns(kind.alias("kind"))
        for table, frame in tables.items():
            frame.write_parquet(root / getattr(config.tables, table))
        write_config(config, root / CONFIG_NAME)
        made.append(Workspace.open(root))
    return Shops(*made)


def with_requests(impressions: pl.DataFrame, items: pl.Series, time: datetime) -> pl.DataFrame:
    """Add requests of guests who were shown some items, and nothing else, again and again."""
    more = pl.DataFrame(
        {
            Impressions.request_id.name: [f"more-{n}-{at}" for n in range(60) for at in items],
            Impressions.item_id.name: items.to_list() * 60,
            Impressions.position.name: [1] * (60 * len(items)),
            Impressions.timestamp.name: [time] * (60 * len(items)),
        },
        schema_overrides=dict(impressions.schema),
    )
    return pl.concat(
        [impressions, more.cast({"position": impressions.schema["position"]})], how="diagonal"
    )


@pytest.fixture(scope="module")
def shop(shops: Shops) -> Workspace:
    return shops.one


@pytest.fixture(scope="module")
def result(shop: Workspace) -> EvaluationResult:
    return evaluate_cold(shop, SHARE, 1, "recsys evaluate shop --cold")


def test_nothing_of_the_launched_items_before_the_test_tells(
    result: EvaluationResult, shops: Shops
) -> None:
    """Neither their labels in any training, nor what was shown of them."""
    labels = [
        TrainingData.open(shop).slates(period, 1).slates.grade.sum()
        for shop in (shops.one, shops.other)
        for period in (shop.config.periods.text, shop.config.periods.ranker)
    ]
    assert labels[0] < labels[2]
    assert labels[1] < labels[3]
    other = evaluate_cold(shops.other, SHARE, 1, "recsys evaluate shop --cold")
    assert other == result


def test_both_slices_are_told_and_popularity_is_blind(result: EvaluationResult) -> None:
    assert result.slices == [LAUNCHED, AGAINST_ALL]
    for model in (POPULARITY, POPULARITY_RATE):
        blind = result.estimate(LAUNCHED, model, AUC)
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
    launch = Launch.draw(tiny_log.catalogue.item_ids, SHARE)
    withheld = pl.Series(tiny_log.catalogue.item_ids).filter(launch.withheld)
    rows = pl.read_parquet(shop.cold(SHARE).rows / "*.parquet")
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
    tables = {getattr(shop.config.tables, table) for table in TABLES}
    made = {path.name for path in shop.root.iterdir()} - tables
    assert made == {CONFIG_NAME, shop.verdict.name, "cache", COLD, "features"}
    assert [path.name for path in (shop.root / "features").iterdir()] == ["log"]


@pytest.fixture
def small_shop(shop: Workspace, tiny_encoder: Path, tmp_path: Path) -> Workspace:
    """A copy of the shop with the features of its launch, and an encoder that trains in seconds."""
    root = copy_folder(shop.root, tmp_path / "shop")
    text = shop.config.text.model_copy(update={"encoder": str(tiny_encoder), **QUICK})
    write_config(shop.config.model_copy(update={"text": text}), root / CONFIG_NAME)
    return Workspace.open(root)


def give_bundle(workspace: Workspace, bundle: Path, mode: Mode) -> None:
    """Give the workspace a bundle whose text model was trained in a mode by a command."""
    model = open_version(copy_folder(bundle, workspace.bundle())).model
    shutil.copy2(workspace.root / CONFIG_NAME, model / CONFIG_NAME)
    record = TextRecord.model_validate_json((model / TEXT_RECORD).read_bytes())
    changed = record.model_copy(update={"mode": mode})
    (model / TEXT_RECORD).write_text(changed.model_dump_json(), encoding="utf-8")


def test_a_launch_is_judged_in_the_bundles_mode_on_features_that_are_there(
    result: EvaluationResult, small_shop: Workspace, tiny_bundle_folder: Path
) -> None:
    assert result.bundle.endswith("text model in mode head")
    rows = small_shop.cold(SHARE).rows
    before = listing(rows)
    found = {}
    for mode in get_args(Mode)[::3]:
        shutil.rmtree(small_shop.bundles, ignore_errors=True)
        give_bundle(small_shop, tiny_bundle_folder, mode)
        found[mode] = evaluate_cold(small_shop, SHARE, 1, "")
        assert found[mode].bundle.endswith(f"text model in mode {mode}")
    head, full = (found[mode].estimate(AGAINST_ALL, TEXT_ONLY, AUC) for mode in ("head", "full"))
    assert head != full
    behaviour = {each.estimate(AGAINST_ALL, BEHAVIOUR_ONLY, AUC) for each in found.values()}
    assert len(behaviour) == 1
    assert listing(rows) == before


def test_a_launch_is_not_judged_beside_a_bundle_of_other_settings(
    result: EvaluationResult, small_shop: Workspace, tiny_bundle_folder: Path
) -> None:
    assert result.values
    copy_folder(tiny_bundle_folder, small_shop.bundle())
    features = small_shop.config.features.model_copy(update={"attributes": ()})
    changed = small_shop.config.model_copy(update={"features": features})
    write_config(changed, small_shop.root / CONFIG_NAME)
    small_shop = Workspace.open(small_shop.root)
    with pytest.raises(UsageError, match=r"another \[features\], \[text\]"):
        evaluate_cold(small_shop, SHARE, 1, "")
