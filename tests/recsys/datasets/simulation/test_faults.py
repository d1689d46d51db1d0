from datetime import UTC, datetime, timedelta
from pathlib import Path

import dataframely as dy
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from data_contracts.events import Impressions, Interactions
from recsys.datasets.simulation.robots import LONGEST_VISIT, SHORTEST_VISIT, mean_robot_visits
from recsys.datasets.simulation.run import simulate
from recsys.datasets.simulation.world.settings import SimulationReport, SimulationSettings
from recsys.datasets.simulation.world.truth import (
    TruthBots,
    TruthDuplicates,
    TruthImpressions,
    TruthLate,
    TruthOrphans,
    truth_path,
)
from recsys.labels.grades import grade_impressions
from recsys.workspace.validate import validate
from recsys.workspace.workspace import TABLES, Workspace
from tests.recsys.datasets.simulation.conftest import SETTINGS

# A fair draw leaves this many standard deviations less than once in a hundred thousand.
SIGMAS = 4.5
SHARES = {"late": 0.2, "duplicates": 0.1, "orphans": 0.15, "bots": 0.3}
FAULTY = SETTINGS.model_copy(update=SHARES)
DAY_US = 86_400_000_000


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> SimulationReport:
    return simulate(tmp_path_factory.mktemp("faults") / "shop", FAULTY)


@pytest.fixture(scope="module")
def log(faulty: SimulationReport) -> Workspace:
    return Workspace.open(faulty.path)


@pytest.fixture(scope="module")
def interactions(log: Workspace) -> pl.DataFrame:
    return log.scan("interactions").collect()


@pytest.fixture(scope="module")
def impressions(log: Workspace) -> pl.DataFrame:
    return log.scan("impressions").collect()


def truth(report: SimulationReport, contract: type[dy.Schema]) -> pl.DataFrame:
    return contract.validate(pl.read_parquet(truth_path(report.path, contract)))


def events_of(report: SimulationReport) -> int:
    return report.clicks + report.carts + report.purchases


def by_robots(frame: pl.DataFrame, report: SimulationReport) -> pl.Series:
    robots = truth(report, TruthBots)[TruthBots.user_id.name]
    return frame[Interactions.user_id.name].is_in(robots.implode()).fill_null(value=False)


def cleaned(report: SimulationReport) -> pl.DataFrame:
    """Undo what the truth says was done to the interactions of people."""
    rows = pl.read_parquet(report.path / "interactions.parquet")
    rows = rows.filter(~by_robots(rows, report))
    event, arrival = Interactions.event_id.name, Interactions.ingested_at.name
    rows = rows.join(truth(report, TruthDuplicates), on=[event, arrival], how="anti")
    late = truth(report, TruthLate).select(event, pl.lit(value=True).alias("late"))
    real = truth(report, TruthOrphans).select(event, pl.col("request_id").alias("real"))
    rows = rows.join(late, on=event, how="left").join(real, on=event, how="left")
    return rows.with_columns(
        pl.when("late").then(None).otherwise(arrival).alias(arrival),
        pl.coalesce("real", "request_id").alias("request_id"),
    ).drop("late", "real")


def test_without_its_faults_the_log_is_that_of_the_clean_run(
    faulty: SimulationReport, impressions: pl.DataFrame, report: SimulationReport
) -> None:
    clean = Workspace.open(report.path)
    order = [Interactions.timestamp.name, Interactions.event_id.name]
    undone = cleaned(faulty).sort(order).select(Interactions.column_names())
    assert_frame_equal(undone, clean.scan("interactions").collect())
    people = impressions.filter(~by_robots(impressions, faulty))
    assert_frame_equal(people, clean.scan("impressions").collect())
    for table in ("items.parquet", "recsys.toml", "truth/users.parquet", "truth/items.parquet"):
        assert (faulty.path / table).read_bytes() == (report.path / table).read_bytes()


def test_a_clean_log_has_no_faults_and_no_truth_of_them(report: SimulationReport) -> None:
    assert report.late == report.duplicates == report.orphans == report.bots == 0
    for contract in (TruthLate, TruthDuplicates, TruthOrphans, TruthBots):
        assert not truth_path(report.path, contract).exists()


@pytest.mark.parametrize("kind", ["late", "duplicates", "orphans"])
def test_shares_are_those_asked_for(faulty: SimulationReport, kind: str) -> None:
    n, share = events_of(faulty), SHARES[kind]
    noise = np.sqrt(n * share * (1 - share))
    assert abs(getattr(faulty, kind) - n * share) < SIGMAS * noise


def test_report_counts_what_is_in_the_tables_and_their_truth(
    faulty: SimulationReport, impressions: pl.DataFrame, interactions: pl.DataFrame
) -> None:
    assert faulty.events == impressions.height + interactions.height
    assert events_of(faulty) == interactions[Interactions.event_id.name].n_unique()
    assert faulty.late == truth(faulty, TruthLate).height
    assert faulty.duplicates == truth(faulty, TruthDuplicates).height
    assert faulty.orphans == truth(faulty, TruthOrphans).height
    assert faulty.sessions == impressions[Impressions.session_id.name].n_unique()
    robots = truth(faulty, TruthBots)
    assert (faulty.bots, faulty.bot_requests) == (robots.height, robots["requests"].sum())
    shown = impressions.filter(by_robots(impressions, faulty))
    assert shown[Impressions.request_id.name].n_unique() == faulty.bot_requests
    done = interactions.filter(by_robots(interactions, faulty))
    assert done[Interactions.event_id.name].n_unique() == robots["clicks"].sum()


def test_late_events_come_by_a_heavy_tailed_delay(
    faulty: SimulationReport, interactions: pl.DataFrame
) -> None:
    late = truth(faulty, TruthLate)
    delay = (Interactions.ingested_at.col - Interactions.timestamp.col).dt.total_microseconds()
    logged = interactions.select("event_id", delay.alias("logged")).drop_nulls()
    first = logged.group_by("event_id").agg(pl.col("logged").min())
    both = late.join(first, on="event_id", how="left")
    assert (both["logged"] == both["delay_us"]).all()
    for longer_us, share in ((60e6, 1.0), (3600e6, 60**-0.43), (30 * DAY_US, 43_200**-0.43)):
        count = float((late["delay_us"] > longer_us).sum())
        noise = np.sqrt(late.height * share * (1 - share)) + 1
        assert abs(count - late.height * share) < SIGMAS * noise
    assert int(late.select(pl.col("delay_us").max()).item()) <= 90 * DAY_US


def test_duplicates_repeat_their_event_and_are_known_later(
    faulty: SimulationReport, interactions: pl.DataFrame
) -> None:
    copies = interactions.join(
        truth(faulty, TruthDuplicates), on=["event_id", "timestamp", "ingested_at"], how="semi"
    )
    assert copies.height == faulty.duplicates
    kept = interactions.join(copies, on=["event_id", "ingested_at"], how="anti")
    assert kept["event_id"].is_unique().all()
    both = copies.join(kept, on="event_id", suffix="_kept")
    for column in set(Interactions.column_names()) - {"event_id", "ingested_at"}:
        assert both[column].equals(both[f"{column}_kept"].alias(column))
    known = pl.coalesce("ingested_at_kept", "timestamp_kept")
    assert both.select((pl.col("ingested_at") > known).all()).item()


def test_orphans_name_requests_the_log_does_not_have(
    faulty: SimulationReport, interactions: pl.DataFrame, impressions: pl.DataFrame
) -> None:
    known = impressions["request_id"].unique()
    orphans = truth(faulty, TruthOrphans)
    unknown = interactions.filter(~pl.col("request_id").is_in(known.implode()))
    assert set(unknown["event_id"]) == set(orphans["event_id"])
    assert orphans["request_id"].is_in(known.implode()).all()
    lost = unknown.unique("event_id")
    assert lost["request_id"].is_unique().all()


def test_robots_come_as_often_as_asked_and_are_inhuman(
    faulty: SimulationReport, impressions: pl.DataFrame, interactions: pl.DataFrame
) -> None:
    expected = sum(mean_robot_visits(FAULTY, day) for day in range(FAULTY.days))
    shown = impressions.filter(by_robots(impressions, faulty))
    people = impressions.filter(~by_robots(impressions, faulty))
    visits = shown.group_by("session_id").agg(pl.col("request_id").n_unique())["request_id"]
    assert abs(len(visits) - expected) < SIGMAS * np.sqrt(expected)
    assert visits.is_between(SHORTEST_VISIT, LONGEST_VISIT).all()
    share = faulty.bot_requests / faulty.requests
    assert share == pytest.approx(SHARES["bots"], abs=0.12)
    human = people.group_by("session_id").agg(pl.col("request_id").n_unique())["request_id"]
    assert int(human.to_numpy().max()) < SHORTEST_VISIT
    catalogue = log_items(faulty)
    assert shown["item_id"].n_unique() > 0.9 * catalogue
    clicks = interactions.filter(by_robots(interactions, faulty))
    assert set(clicks["kind"]) == {"click"}


def log_items(report: SimulationReport) -> int:
    return pl.read_parquet(report.path / "items.parquet")["item_id"].n_unique()


def test_truth_stands_beside_the_impressions_of_robots_too(
    faulty: SimulationReport, impressions: pl.DataFrame, interactions: pl.DataFrame
) -> None:
    beside = truth(faulty, TruthImpressions)
    keys = ["request_id", "item_id"]
    assert_frame_equal(beside.select(keys), impressions.select(keys))
    assert impressions["timestamp"].is_sorted()
    robots = by_robots(impressions, faulty)
    p = beside.filter(robots)["p_click"].to_numpy().astype(np.float64)
    clicks = interactions.filter(by_robots(interactions, faulty))["event_id"].n_unique()
    assert abs(clicks - p.sum()) < SIGMAS * np.sqrt((p * (1 - p)).sum())
    assert (beside.filter(robots)["person"] == impressions.filter(robots)["user_id"]).all()


def test_validation_counts_the_faults_and_lets_it_train(
    faulty: SimulationReport, log: Workspace
) -> None:
    found = validate(log, now=datetime(2030, 1, 1, tzinfo=UTC))
    assert found.ok
    counts = {each.rule: each.count for each in found.findings if each.table == "interactions"}
    assert counts["duplicate"] == faulty.duplicates
    assert counts["late"] == faulty.late
    assert counts["orphan"] == faulty.orphans
    delays = truth(faulty, TruthLate)["delay_us"]
    assert counts["too_late"] == (delays > log.config.features.late_days * DAY_US).sum() > 0
    assert counts["duplicate_differs"] == counts["event_id_on_several_days"] == 0


def test_duplicates_and_late_events_label_as_one_in_time(
    log: Workspace, impressions: pl.DataFrame, interactions: pl.DataFrame
) -> None:
    once = interactions.unique("event_id", keep="first", maintain_order=True)
    punctual = once.with_columns(pl.lit(None, pl.Datetime("us", "UTC")).alias("ingested_at"))
    labels = log.config.labels
    with_copies = grade_impressions(impressions, interactions.lazy(), labels)
    assert with_copies.any()
    assert (with_copies == grade_impressions(impressions, punctual.lazy(), labels)).all()


def small(**shares: float) -> SimulationSettings:
    tiny = SimulationSettings.tiny().model_dump() | {"requests_per_day": 60}
    return SimulationSettings.model_validate(tiny | shares)


def test_late_impressions_come_minutes_to_hours_after_their_request(tmp_path: Path) -> None:
    share = 0.3
    late = simulate(tmp_path / "late", small(late_impressions=share))
    punctual = simulate(tmp_path / "punctual", small(late_impressions=0))
    with_late, without = (
        Workspace.open(report.path).scan("impressions").collect() for report in (late, punctual)
    )
    arrival = Impressions.ingested_at
    assert without[arrival.name].null_count() == without.height
    assert with_late.drop(arrival.name).equals(without.drop(arrival.name))
    for table in ("interactions.parquet", "items.parquet"):
        assert (late.path / table).read_bytes() == (punctual.path / table).read_bytes()
    assert late.late_impressions == with_late[arrival.name].count()
    known = pl.col("request_id", "timestamp", arrival.name)
    requests = with_late.select(known).unique()
    assert requests.height == late.requests
    noise = np.sqrt(late.requests * share * (1 - share))
    count = requests[arrival.name].count()
    assert abs(count - late.requests * share) < SIGMAS * noise
    delay = requests.select(arrival.col - Impressions.timestamp.col).to_series().drop_nulls()
    assert delay.is_between(timedelta(minutes=1), timedelta(hours=12)).all()
    assert 0.3 < (delay > timedelta(minutes=20)).sum() / count < 0.7


def test_one_kind_of_fault_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    three = {name: SHARES[name] for name in ("late", "duplicates", "orphans")}
    every = simulate(tmp_path / "every", small(**three))
    for name, contract in (
        ("late", TruthLate),
        ("duplicates", TruthDuplicates),
        ("orphans", TruthOrphans),
    ):
        alone = simulate(tmp_path / name, small(**{name: SHARES[name]}))
        columns = [each for each in contract.column_names() if each != "ingested_at"]
        assert_frame_equal(
            truth(alone, contract).select(columns), truth(every, contract).select(columns)
        )


def test_the_same_faults_give_the_same_bytes_and_more_days_the_same_first_ones(
    tmp_path: Path,
) -> None:
    settings = small(**SHARES)
    one = simulate(tmp_path / "one", settings)
    two = simulate(tmp_path / "two", settings)
    for path in sorted(each for each in one.path.rglob("*") if each.is_file()):
        assert path.read_bytes() == (two.path / path.relative_to(one.path)).read_bytes()
    short = simulate(tmp_path / "short", settings.model_copy(update={"days": 8}))
    for table in TABLES:
        begin = Workspace.open(short.path).scan(table).collect()
        whole = Workspace.open(one.path).scan(table).collect()
        assert_frame_equal(begin, whole.head(begin.height))


def test_busy_days_are_drawn_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faulty: SimulationReport
) -> None:
    monkeypatch.setattr("recsys.datasets.simulation.shop.BATCH_REQUESTS", 40)
    pieces = simulate(tmp_path / "pieces", FAULTY)
    assert pieces.requests == faulty.requests
    assert pieces.bot_requests == faulty.bot_requests
    log = Workspace.open(pieces.path)
    found = validate(log, now=datetime(2030, 1, 1, tzinfo=UTC))
    assert found.ok
    shown = log.scan("impressions").collect()
    assert shown["timestamp"].is_sorted()
    assert shown["request_id"].n_unique() == pieces.requests
    events = log.scan("interactions").collect()
    assert events["event_id"].n_unique() == events_of(pieces)
    assert events_of(pieces) == pytest.approx(events_of(faulty), rel=0.1)
