"""What `recsys validate` passes is trained, judged and loaded; the rest it names."""

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_contracts.errors import DataError
from data_contracts.slates import Slate
from recsys.evaluation.evaluate import evaluate
from recsys.training.data import TrainingData
from recsys.training.train import train
from recsys.workspace.fitness import TRAINING
from recsys.workspace.shortages import TEST
from recsys.workspace.validate import validate
from recsys.workspace.workspace import Workspace
from serving.ranking.loading import load_model
from serving.settings import ServiceSettings
from tests.recsys.workspace.worlds import DAY, DAYS, NOW, START, World

Change = Callable[[World], None]


def column(table: str, name: str, value: pl.Expr) -> Change:
    return lambda world: world.change(table, value.alias(name))


def only(table: str, kept: pl.Expr) -> Change:
    def change(world: World) -> None:
        world.tables[table] = world.tables[table].filter(kept)

    return change


def shuffled(world: World) -> None:
    for name, frame in world.tables.items():
        world.tables[name] = frame.sample(fraction=1, shuffle=True, seed=1)


def ahead(world: World) -> None:
    later = pl.lit(NOW + 9_000 * DAY, dtype=pl.Datetime("us", "UTC")).alias("timestamp")
    world.add("impressions", 0, later, pl.lit("ahead").alias("request_id"))


def setting(part: str, name: str, value: object) -> Change:
    def change(world: World) -> None:
        settings_of = getattr(world.config, part)
        changed = type(settings_of).model_validate(settings_of.model_dump() | {name: value})
        world.config = world.config.model_copy(update={part: changed})

    return change


first = pl.col("request_id") == "r0"
CHANGES: dict[str, Change] = {
    "no user": column("impressions", "user_id", pl.lit(None, dtype=pl.String)),
    "a user of each request": column("impressions", "user_id", pl.col("request_id")),
    "numbers as users": column("impressions", "user_id", pl.lit(7)),
    "no request named": column("interactions", "request_id", pl.lit(None, dtype=pl.String)),
    "a kind without a grade": column("interactions", "kind", pl.lit("wish")),
    "two kinds": column(
        "interactions", "kind", pl.when(first).then(pl.lit("purchase")).otherwise(pl.col("kind"))
    ),
    "late": column("interactions", "ingested_at", pl.col("timestamp") + DAY / 3),
    "no value": column("interactions", "value", pl.lit(None, dtype=pl.Float64)),
    "a large value": column("interactions", "value", pl.lit(1e9)),
    "a value beyond": column("interactions", "value", pl.lit(1e300)),
    "twice": lambda world: world.add("interactions", 3),
    "huge positions": column("impressions", "position", pl.col("position") + (2**31 - 3)),
    "one moment": column("impressions", "timestamp", pl.lit(START, pl.Datetime("us", "UTC"))),
    "slates of one": only("impressions", pl.col("item_id") == "a"),
    "one item": only("items", pl.col("item_id") == "a"),
    "no title": column("items", "title", pl.lit("")),
    "no tags": column("items", "tags", pl.lit(None, dtype=pl.List(pl.String))),
    "other scripts": column("items", "title", pl.lit("青い マグ \u200b ☕")),
    "a huge price": column("items", "price", pl.lit(1e30)),
    "a negative price": column("items", "price", pl.lit(-1.0)),
    "listed later": column("items", "listed_at", pl.lit(NOW, pl.Datetime("us", "UTC"))),
    "queries": column("impressions", "query", pl.lit("mug")),
    "no brand": column("items", "brand", pl.lit(None, dtype=pl.String)),
    "shuffled": shuffled,
    "ahead": ahead,
    "an early end": setting("split", "test_end", START + (DAYS - 10) * DAY),
    "a short ranker's period": setting("split", "ranker_end", START + 14 * DAY),
    "a long window": setting("labels", "attribution_window_hours", 24 * 11),
    "no gain": setting("labels", "label_gain", (0, 0, 0, 0)),
    "few leaves": setting("ranker", "num_leaves", 2),
    "a small sample": setting("ranker", "bagging_fraction", 0.05),
    "a short history": setting("text", "history", 1),
    "one dimension": setting("text", "dimensions", 1),
    "a large batch": setting("text", "batch_slates", 11),
    "one negative": setting("text", "negatives", 1),
}


def carried_through(world: World) -> None:
    """Train, judge, load and serve a world that passed."""
    data = TrainingData.open(Workspace(world.root, world.config), parts=(*TRAINING, TEST))
    bundle = train(data)
    result = evaluate(data, [bundle], "recsys evaluate")
    assert result.models
    model = load_model(ServiceSettings(bundle=bundle))
    ids = [*model.sample_items(2), "unheard of"]
    slate = Slate("r", ids, datetime.now(UTC), next(iter(model.sample_users(1)), None))
    assert sorted(model.rank(slate, {}, rung="full", explain=1).item_ids) == sorted(ids)


@pytest.mark.slow
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(sorted(CHANGES)), max_size=3, unique=True))
def test_what_passes_is_carried_through_and_the_rest_is_named(
    tiny_encoder: Path, changes: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        world.change("items", pl.lit("Acme").alias("brand"))
        for name, value in (
            ("encoder", str(tiny_encoder)),
            ("steps", 2),
            ("check_every", 1),
            ("training_history", 3),
        ):
            setting("text", name, value)(world)
        setting("ranker", "num_iterations", 3)(world)
        for change in changes:
            CHANGES[change](world)
        world.write()
        report = validate(Workspace(world.root, world.config))
        if report.ok:
            carried_through(world)
            return
        broken = [each for each in report.findings if each.severity == "error" and each.count]
        assert all(each.first for each in broken)
        with pytest.raises(DataError, match="recsys validate"):
            TrainingData.open(Workspace(world.root, world.config), parts=(*TRAINING, TEST))
