from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal
from pydantic import ValidationError

from data_contracts.errors import UsageError
from data_contracts.events import Impressions, Interactions
from data_contracts.items import Items
from data_contracts.progress import T
from data_contracts.reading import check_rows
from recsys.datasets.simulation.day import CART, CLICK, PURCHASE, UNIFORM_POLICY
from recsys.datasets.simulation.run import simulate
from recsys.datasets.simulation.world.settings import SimulationReport, SimulationSettings
from recsys.datasets.simulation.world.truth import (
    TruthExamination,
    TruthImpressions,
    TruthItems,
    TruthUsers,
    truth_path,
)
from recsys.workspace.config import CONFIG_NAME
from recsys.workspace.workspace import TABLES, Workspace
from tests.recsys.datasets.simulation.conftest import SETTINGS

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
def judged(root: Path, impressions: pl.DataFrame, interactions: pl.DataFrame) -> pl.DataFrame:
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
    report: SimulationReport,
    workspace: Workspace,
    impressions: pl.DataFrame,
    interactions: pl.DataFrame,
) -> None:
    assert report.impressions == impressions.height == report.requests * SETTINGS.slate_size
    assert report.requests == impressions[Impressions.request_id.name].n_unique()
    assert report.sessions == impressions[Impressions.session_id.name].n_unique()
    assert report.late_impressions == impressions[Impressions.ingested_at.name].count()
    items = workspace.scan("items").collect()
    assert report.items == items[Items.item_id.name].n_unique()
    assert report.item_versions == items.height
    assert report.deleted_items == items[Items.deleted.name].sum()
    assert report.late_items == items[Items.ingested_at.name].count() > 0
    kinds = interactions[Interactions.kind.name].value_counts().rows()
    assert dict(kinds) == {
        CLICK: report.clicks,
        CART: report.carts,
        PURCHASE: report.purchases,
    }


def test_tables_are_sorted_by_time(impressions: pl.DataFrame, interactions: pl.DataFrame) -> None:
    assert impressions[Impressions.timestamp.name].is_sorted()
    assert interactions[Interactions.timestamp.name].is_sorted()


def test_log_stays_within_its_days(
    workspace: Workspace, impressions: pl.DataFrame, interactions: pl.DataFrame
) -> None:
    middle = workspace.config.split.text_end
    half = timedelta(days=SETTINGS.days / 2)
    for table, time in (
        (impressions, Impressions.timestamp.col),
        (interactions, Interactions.timestamp.col),
    ):
        within = time.is_between(middle - half, middle + half, closed="left")
        assert table.select(within.all()).item()


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
    listed = workspace.scan("items").select(Items.item_id.name).unique().collect()
    assert_frame_equal(items.select(Items.item_id.name), listed, check_row_order=False)
    seen = impressions[Impressions.user_id.name].drop_nulls()
    assert set(seen) <= set(users[TruthUsers.user_id.name])


@pytest.mark.parametrize(
    ("kind", "given", "probability"),
    [
        (CLICK, None, TruthImpressions.p_click.name),
        (CART, CLICK, TruthImpressions.p_cart.name),
        (PURCHASE, CART, TruthImpressions.p_purchase.name),
    ],
)
def test_events_happen_as_often_as_the_truth_says(
    judged: pl.DataFrame, kind: str, given: str | None, probability: str
) -> None:
    # What follows a request of the last day may fall after the end of the log.
    time = Impressions.timestamp.col
    rows = judged.filter(time < time.max() - timedelta(days=1))
    if given is not None:
        rows = rows.filter(pl.col(given))
    assert rows.height > 300
    for likely in (True, False):
        half = rows.filter((pl.col(probability) > pl.col(probability).median()) == likely)
        assert within_noise(half[kind], half[probability])


def test_position_bias_shows_as_the_truth_says(root: Path, judged: pl.DataFrame) -> None:
    table = TruthExamination.validate(pl.read_parquet(truth_path(root, TruthExamination)))
    look = table[TruthExamination.examination.name]
    assert look[0] == 1
    assert look.is_sorted(descending=True)
    for position, probability in table.select(
        TruthExamination.position.name, TruthExamination.examination.name
    ).rows():
        rows = judged.filter(Impressions.position.col == position)
        assert (rows[TruthImpressions.examination.name] == probability).all()
        assert within_noise(rows[CLICK], rows[TruthImpressions.p_click.name])


def test_uniform_slates_show_the_bias_bare_and_their_propensity(
    root: Path, judged: pl.DataFrame
) -> None:
    uniform = judged.filter(Impressions.policy.col == UNIFORM_POLICY)
    assert 0.03 < uniform.height / judged.height < 0.15
    # Items do not differ by position there, so clicks per unit of examination agree.
    look = TruthImpressions.examination.name
    rate = float(uniform[CLICK].sum()) / float(uniform[look].sum())
    third = SETTINGS.slate_size // 3
    for first in (1, third + 1, 2 * third + 1):
        rows = uniform.filter(Impressions.position.col.is_between(first, first + third - 1))
        assert within_noise(rows[CLICK], rows[look] * rate)
    house = judged.filter(Impressions.policy.col != UNIFORM_POLICY)
    assert house[Impressions.propensity.name].null_count() == house.height


def test_propensity_is_one_of_all_items_that_could_be_shown(
    workspace: Workspace, impressions: pl.DataFrame
) -> None:
    midnight = pl.col(Impressions.timestamp.name).dt.truncate("1d")
    rows = impressions.filter(Impressions.propensity.col.is_not_null())
    items = workspace.scan("items").collect()
    listed = items.unique(Items.item_id.name)[Items.listed_at.name]
    left = items.filter(Items.deleted.col)[Items.updated_at.name]
    assert len(left) > 0
    days = rows.select(midnight, Impressions.propensity.col).unique()
    assert days.height >= SETTINGS.days / 2
    for day, propensity in days.rows():
        assert propensity == pytest.approx(1 / ((listed < day).sum() - (left <= day).sum()))


def test_items_are_shown_only_while_they_are_in_the_shop(
    workspace: Workspace, impressions: pl.DataFrame
) -> None:
    left = pl.when(Items.deleted.col).then(Items.updated_at.col).min().alias("left")
    items = workspace.scan("items").group_by("item_id").agg(Items.listed_at.col.first(), left)
    shown = impressions.join(items.collect(), on=Items.item_id.name)
    assert shown.height == impressions.height
    assert shown.select((Items.listed_at.col < Impressions.timestamp.col).all()).item()
    assert shown.select((pl.col("left") > Impressions.timestamp.col).all()).item()
    assert shown.filter(pl.col("left").is_not_null()).height > 0
    opening = Items.listed_at.col < impressions[Impressions.timestamp.name].min()
    assert shown.filter(~opening)[Items.item_id.name].n_unique() > 100


def test_items_are_shown_before_they_are_known_only_where_their_record_is_late(
    workspace: Workspace, impressions: pl.DataFrame
) -> None:
    known = pl.max_horizontal(Items.updated_at.col, Items.ingested_at.col).alias("known")
    first = workspace.scan("items").collect().unique("item_id", keep="first", maintain_order=True)
    shown = impressions.join(
        first.select("item_id", known, late=Items.ingested_at.col), on="item_id"
    )
    unknown = shown.filter(pl.col("known") > Impressions.timestamp.col)
    assert unknown.height > 0
    assert unknown["late"].null_count() == 0


def test_interactions_follow_their_impression_within_the_attribution_window(
    workspace: Workspace, impressions: pl.DataFrame, interactions: pl.DataFrame
) -> None:
    who = [Impressions.user_id.name, Impressions.session_id.name]
    shown = impressions.select(*KEYS, *who, Impressions.timestamp.col.alias("shown"))
    both = interactions.join(shown, on=[*KEYS, *who], how="inner", nulls_equal=True)
    assert both.height == interactions.height
    delay = Interactions.timestamp.col - pl.col("shown")
    window = timedelta(hours=workspace.config.labels.attribution_window_hours)
    assert both.select((delay > timedelta(0)).all()).item()
    assert both.select((delay < window).all()).item()
    late = both.filter(delay > timedelta(hours=1))
    assert set(late[Interactions.kind.name]) == {PURCHASE}


def test_a_purchase_follows_a_cart_follows_a_click(interactions: pl.DataFrame) -> None:
    wide = interactions.pivot(
        Interactions.kind.name, index=KEYS, values=Interactions.timestamp.name
    )
    assert wide[CLICK].null_count() == 0
    assert wide.filter(pl.col(CART) <= pl.col(CLICK)).is_empty()
    assert wide.filter(pl.col(PURCHASE).is_not_null() & pl.col(CART).is_null()).is_empty()
    assert wide.filter(pl.col(PURCHASE) <= pl.col(CART)).is_empty()


def test_purchases_and_nothing_else_carry_the_price_in_force(
    workspace: Workspace, interactions: pl.DataFrame
) -> None:
    since = pl.coalesce(Items.updated_at.col, Items.listed_at.col).alias("timestamp")
    priced = workspace.scan("items").select("item_id", "price", since).collect()
    joined = interactions.join_asof(
        priced.sort("timestamp"), on="timestamp", by="item_id", check_sortedness=False
    )
    bought = Interactions.kind.col == PURCHASE
    paid = pl.when(bought).then(Items.price.col)
    assert joined.select(Interactions.value.col.eq_missing(paid).all()).item()
    first = workspace.scan("items").unique("item_id", keep="first", maintain_order=True)
    usual = joined.join(first.select("item_id", usual="price").collect(), on="item_id")
    assert usual.filter(bought & (Interactions.value.col != pl.col("usual"))).height > 0


def test_some_users_come_late_and_some_are_guests(root: Path, impressions: pl.DataFrame) -> None:
    users = pl.read_parquet(truth_path(root, TruthUsers))
    late = users.filter(TruthUsers.joined_at.col.is_not_null())
    first = impressions.group_by(Impressions.user_id.name).agg(Impressions.timestamp.col.min())
    seen = late.join(first, on=TruthUsers.user_id.name)
    assert seen.height == late.height == 2 * SETTINGS.days
    day = Impressions.timestamp.col.dt.truncate("1d")
    assert seen.select((day == TruthUsers.joined_at.col).all()).item()
    assert 0.03 < impressions[Impressions.user_id.name].null_count() / impressions.height < 0.25


def test_utility_orders_slates_better_than_chance_and_leaves_room(judged: pl.DataFrame) -> None:
    # Share of (clicked, passed over) pairs of one request that the utility orders rightly.
    rank = pl.col(TruthImpressions.utility.name).rank().over(Impressions.request_id.name)
    clicked = pl.col(CLICK).cast(pl.Float64)
    slates = judged.with_columns(rank.alias("rank")).group_by(Impressions.request_id.name)
    per_request = slates.agg(
        clicked.sum().alias("yes"),
        (pl.col("rank") * clicked).sum().alias("ranks"),
        pl.len().alias("all"),
    ).filter((pl.col("yes") > 0) & (pl.col("yes") < pl.col("all")))
    yes, no = pl.col("yes"), pl.col("all") - pl.col("yes")
    auc = (pl.col("ranks") - yes * (yes + 1) / 2) / (yes * no)
    assert 0.75 < per_request.select(auc.mean()).item() < 0.87


def tables_of(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    settings = SimulationSettings.tiny()
    first = simulate(tmp_path / "first", settings)
    second = simulate(tmp_path / "second", settings)
    other = simulate(tmp_path / "other", settings.model_copy(update={"seed": settings.seed + 1}))
    files = tables_of(first.path)
    assert len(files) == 1 + 3 + 5
    for one, two in zip(files, tables_of(second.path), strict=True):
        assert one.read_bytes() == two.read_bytes()
    log = Workspace.open(first.path).location("impressions")
    other_log = Workspace.open(other.path).location("impressions")
    assert Path(log).read_bytes() != Path(other_log).read_bytes()


def test_a_workspace_tells_the_settings_that_give_it_again(root: Path) -> None:
    told = (root / "truth" / "settings.json").read_text(encoding="utf-8")
    assert SimulationSettings.model_validate_json(told) == SETTINGS


def test_more_days_leave_the_first_days_as_they_are(tmp_path: Path) -> None:
    settings = SimulationSettings.tiny()
    long = simulate(tmp_path / "long", settings)
    short = simulate(tmp_path / "short", settings.model_copy(update={"days": 7}))
    for table in TABLES:
        begin = Workspace.open(short.path).scan(table).collect()
        whole = Workspace.open(long.path).scan(table).collect()
        assert 0 < begin.height < whole.height
        assert_frame_equal(begin, whole.head(begin.height))


@pytest.mark.parametrize("table", ["impressions", "interactions"])
def test_each_day_is_its_own_row_group(workspace: Workspace, table: str) -> None:
    file = pq.ParquetFile(workspace.location(table)).metadata
    assert file.num_row_groups == SETTINGS.days
    for number in range(file.num_row_groups):
        told = next(
            chunk.statistics
            for chunk in map(file.row_group(number).column, range(file.num_columns))
            if chunk.path_in_schema == Impressions.timestamp.name
        )
        assert told.min.date() == told.max.date() == SETTINGS.start + timedelta(days=number)


def test_progress_is_told_day_by_day(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []

    def track(steps: Iterable[T], label: str, total: int) -> Iterable[T]:
        for number, step in enumerate(steps, 1):
            yield step
            seen.append((label, number, total))

    simulate(tmp_path / "shop", SimulationSettings.tiny(), track=track)
    days = SimulationSettings.tiny().days
    assert [step[1] for step in seen] == list(range(1, days + 1))
    assert {step[2] for step in seen} == {days}


def test_a_workspace_is_overwritten_only_when_allowed(tmp_path: Path) -> None:
    target = tmp_path / "shop"
    target.mkdir()
    settings = SimulationSettings.tiny()
    simulate(target, settings)
    kept = (target / CONFIG_NAME).read_bytes()
    with pytest.raises(UsageError, match="is a workspace already"):
        simulate(target, settings.model_copy(update={"days": 8}))
    assert (target / CONFIG_NAME).read_bytes() == kept
    simulate(target, settings.model_copy(update={"days": 8}), overwrite=True)
    assert (target / CONFIG_NAME).read_bytes() != kept


def test_what_is_no_workspace_is_never_overwritten(tmp_path: Path) -> None:
    kept = tmp_path / "letter.txt"
    kept.write_text("dear")
    for target in (tmp_path, kept):
        with pytest.raises(UsageError, match=r"other content|a file"):
            simulate(target, SimulationSettings.tiny(), overwrite=True)
    assert kept.read_text() == "dear"


def test_nothing_half_written_stays_behind(tmp_path: Path) -> None:
    def track(steps: Iterable[T], label: str, total: int) -> Iterable[T]:
        yield next(iter(steps))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path / "shop", SimulationSettings.tiny(), track=track)
    assert list(tmp_path.iterdir()) == []


def test_a_shop_of_one_user_and_hardly_any_visits_has_a_log(tmp_path: Path) -> None:
    settings = SimulationSettings(
        users=1,
        new_users_per_day=0,
        items=8,
        new_items_per_day=0,
        days=4,
        requests_per_day=1,
        slate_size=2,
    )
    report = simulate(tmp_path / "shop", settings)
    shown = Workspace.open(report.path).scan("impressions").collect()
    assert report.users == 1
    assert shown.height == report.impressions >= 4 * 2
    slates = shown.group_by(Impressions.request_id.name).agg(Impressions.item_id.col.n_unique())
    assert (slates[Impressions.item_id.name] == 2).all()


def test_slates_need_a_catalogue_several_times_their_size() -> None:
    with pytest.raises(ValidationError, match="four times slate_size"):
        SimulationSettings(items=40, slate_size=11)
