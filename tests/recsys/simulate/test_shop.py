from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from pydantic import ValidationError

from data_contracts.errors import UsageError
from data_contracts.events import Impressions, Interactions
from data_contracts.items import Items
from data_contracts.reading import check_rows
from recsys.config import CONFIG_NAME
from recsys.simulate import SimulationReport, SimulationSettings, simulate
from recsys.simulate.day import CART, CLICK, PURCHASE, UNIFORM_POLICY
from recsys.simulate.truth import (
    TruthExamination,
    TruthImpressions,
    TruthItems,
    TruthUsers,
    truth_path,
)
from recsys.workspace import TABLES, Workspace
from tests.recsys.simulate.conftest import SETTINGS

# A fair draw leaves this many standard deviations less than once in a hundred thousand.
SIGMAS = 4.5
KEYS = [Impressions.request_id.name, Impressions.item_id.name]


@pytest.fixture(scope="module")
def impressions(workspace: Workspace) -> pl.DataFrame:
    return workspace.scan("impressions").collect()


@pytest.fixture(scope="module")
def interactions(workspace: Workspace) -> pl.DataFrame:
    return workspace.scan("interactions").collect()


@pytest.fixture(scope="module")
def judged(
    root: Path, impressions: pl.DataFrame, interactions: pl.DataFrame
) -> pl.DataFrame:
    """Impressions beside their truth, with a column per kind that tells whether it happened."""
    truth = pl.read_parquet(truth_path(root, TruthImpressions)).drop(KEYS)
    joined = pl.concat([impressions, truth], how="horizontal")
    for kind in (CLICK, CART, PURCHASE):
        done = interactions.filter(Interactions.kind.col == kind)
        joined = joined.join(
            done.select(*KEYS, pl.lit(value=True).alias(kind)), on=KEYS, how="left"
        ).with_columns(pl.col(kind).fill_null(value=False))
    return joined


def within_noise(happened: pl.Series, probability: pl.Series) -> bool:
    """Tell whether a count of independent draws agrees with its probabilities."""
    p = probability.cast(pl.Float64).to_numpy()
    noise = float(np.sqrt((p * (1 - p)).sum()))
    return abs(float(happened.sum()) - float(p.sum())) <= SIGMAS * noise


@pytest.mark.parametrize("table", TABLES)
def test_every_row_keeps_its_contract(workspace: Workspace, table: str) -> None:
    checked = check_rows(workspace.scan(table).collect(), workspace.contract(table))
    assert checked.failures == []
    assert checked.good.height > 0


def test_report_counts_what_is_in_the_tables(
    report: SimulationReport, impressions: pl.DataFrame, interactions: pl.DataFrame
) -> None:
    assert report.impressions == impressions.height == report.requests * SETTINGS.slate_size
    assert report.requests == impressions[Impressions.request_id.name].n_unique()
    assert report.sessions == impressions[Impressions.session_id.name].n_unique()
    kinds = interactions[Interactions.kind.name].value_counts().rows()
    assert dict(kinds) == {
        CLICK: report.clicks,
        CART: report.carts,
        PURCHASE: report.purchases,
    }


def test_tables_are_sorted_by_time(
    impressions: pl.DataFrame, interactions: pl.DataFrame
) -> None:
    assert impressions[Impressions.timestamp.name].is_sorted()
    assert interactions[Interactions.timestamp.name].is_sorted()


def test_log_stays_within_its_days(
    workspace: Workspace, impressions: pl.DataFrame, interactions: pl.DataFrame
) -> None:
    shown, done = impressions[Impressions.timestamp.name], interactions[Interactions.timestamp.name]
    middle = workspace.config.split.text_end
    half = timedelta(days=SETTINGS.days / 2)
    for times in (shown, done):
        assert times.min() >= middle - half
        assert times.max() < middle + half


def test_truth_stands_row_by_row_beside_the_log(root: Path, impressions: pl.DataFrame) -> None:
    truth = TruthImpressions.validate(pl.read_parquet(truth_path(root, TruthImpressions)))
    assert_frame_equal(truth.select(KEYS), impressions.select(KEYS))
    user = impressions[Impressions.user_id.name]
    known = user.is_not_null()
    assert (user.filter(known) == truth[TruthImpressions.person.name].filter(known)).all()
    p_click = TruthImpressions.examination.col / (1 + (-TruthImpressions.utility.col).exp())
    assert truth.select(((p_click - TruthImpressions.p_click.col).abs() < 1e-5).all()).item()


def test_truth_of_items_and_users_keeps_its_contract(
    root: Path, workspace: Workspace, impressions: pl.DataFrame
) -> None:
    items = TruthItems.validate(pl.read_parquet(truth_path(root, TruthItems)))
    users = TruthUsers.validate(pl.read_parquet(truth_path(root, TruthUsers)))
    listed = workspace.scan("items").select(Items.item_id.name).collect()
    assert_frame_equal(items.select(Items.item_id.name), listed)
    seen = impressions[Impressions.user_id.name].drop_nulls()
    assert set(seen) <= set(users[TruthUsers.user_id.name])


@pytest.mark.parametrize(
    ("kind", "given", "probability"),
    [
        (CLICK, None, TruthImpressions.p_click),
        (CART, CLICK, TruthImpressions.p_cart),
    ],
)
def test_events_happen_as_often_as_the_truth_says(
    judged: pl.DataFrame, kind: str, given: str | None, probability: pl.Expr
) -> None:
    rows = judged if given is None else judged.filter(pl.col(given))
    name = probability.name  # type: ignore[attr-defined]
    assert rows.height > 500
    assert within_noise(rows[kind], rows[name])
    for half in (rows.filter(pl.col(name) > rows[name].median()), rows.filter(pl.col(name) <= rows[name].median())):
        assert within_noise(half[kind], half[name])
