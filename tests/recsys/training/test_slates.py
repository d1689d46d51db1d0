import itertools
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data_contracts.errors import DataError
from data_contracts.events import Impressions, Interactions
from features.log.log import Log, open_log
from recsys.bundle.bundle import Bundle
from recsys.labels.grades import grade_impressions
from recsys.labels.split import Period
from recsys.text.template import query_text
from recsys.training.data import TrainingData
from recsys.training.slates import Requests, query_texts, read_slates
from recsys.workspace.backfill import log_tables, open_workspace_log
from recsys.workspace.workspace import Workspace

PAST = 7
WHOLE = Period(None, None)


def split_of(workspace: Workspace) -> list[Period]:
    config = workspace.config
    split = config.periods
    return [split.text, split.ranker, split.validation, split.test]


def test_every_impression_is_in_one_period_or_in_a_gap(
    trained_workspace: Workspace, tiny_log: Log
) -> None:
    queries = query_texts(trained_workspace)
    keys = [Impressions.request_id.name, Impressions.item_id.name]
    whole = read_slates(trained_workspace, tiny_log, queries, WHOLE, PAST)
    parts = [
        read_slates(trained_workspace, tiny_log, queries, period, PAST)
        for period in split_of(trained_workspace)
    ]
    together = pl.concat([part.frame for part in parts])
    assert together.select(keys).is_duplicated().sum() == 0
    gaps = whole.frame.join(together, on=keys, how="anti")
    assert together.height + gaps.height == whole.frame.height
    for earlier, later in itertools.pairwise(parts):
        times = gaps[Impressions.timestamp.name]
        assert (
            (times > earlier.frame[Impressions.timestamp.name].max())
            & (times < later.frame[Impressions.timestamp.name].min())
        ).any()


def test_rows_stand_request_by_request_in_order_of_time(
    trained_workspace: Workspace, tiny_log: Log
) -> None:
    found = read_slates(trained_workspace, tiny_log, query_texts(trained_workspace), WHOLE, PAST)
    rows, frame = found.slates.rows, found.frame
    assert (np.diff(rows.request_time) >= 0).all()
    request = frame[Impressions.request_id.name].to_numpy()
    assert len(np.unique(request)) == len(found.slates) == len(rows.offsets) - 1
    for low, high in zip(rows.offsets[:-1], rows.offsets[1:], strict=True):
        assert len(set(request[low:high])) == 1
    item_ids = tiny_log.item_ids
    assert item_ids.gather(rows.item).to_list() == frame[Impressions.item_id.name].to_list()
    np.testing.assert_array_equal(
        rows.time, frame[Impressions.timestamp.name].dt.timestamp("us").to_numpy()
    )
    table = trained_workspace.scan("impressions").collect()
    positions = frame.join(table, on=[Impressions.request_id.name, Impressions.item_id.name])
    assert (positions["position"] == positions["position_right"]).all()


def test_queries_of_the_log_are_read_as_those_of_requests(
    trained_workspace: Workspace, tmp_path: Path
) -> None:
    root = tmp_path / "odd"
    shutil.copytree(trained_workspace.root, root)
    workspace = Workspace.open(root)
    odd = {0: "oak  table", 1: " oak\u00a0table. ", 2: "\u200boak table", 3: " \u200b", 4: ""}
    requests = workspace.scan("impressions").select("request_id", "timestamp").collect()
    first = requests.sort("timestamp", "request_id")["request_id"].unique(maintain_order=True)
    written = {first[place]: query for place, query in odd.items()}
    request = pl.col("request_id")
    table = workspace.scan("impressions").with_columns(
        pl.when(request.is_in(list(written)))
        .then(request.replace_strict(written, default=None, return_dtype=pl.String))
        .otherwise("query")
        .alias("query")
    )
    table.collect().write_parquet(workspace.location("impressions"))
    queries = query_texts(workspace)
    assert queries.to_list() == sorted(
        {query_text(each, workspace.config.text) for each in queries}
    )
    assert "" not in queries
    found = read_slates(workspace, open_workspace_log(workspace), queries, WHOLE, PAST)
    place = {
        name: n for n, name in enumerate(found.frame["request_id"].unique(maintain_order=True))
    }
    asked = found.slates.query[[place[name] for name in first[: len(odd)]]]
    assert [None if at < 0 else queries[int(at)] for at in asked] == ["oak table"] * 3 + [None] * 2


def test_grades_are_those_of_the_log_and_a_query_is_its_own(
    trained_workspace: Workspace, tiny_log: Log
) -> None:
    queries = query_texts(trained_workspace)
    slates = read_slates(trained_workspace, tiny_log, queries, WHOLE, PAST).slates
    table = (
        trained_workspace.scan("impressions")
        .sort(Impressions.timestamp.name, Impressions.request_id.name, Impressions.position.name)
        .collect()
    )
    expected = grade_impressions(
        table, trained_workspace.scan("interactions"), trained_workspace.config.labels
    )
    np.testing.assert_array_equal(slates.grade, expected)
    assert slates.grade.any()
    texts = table[Impressions.query.name].gather(slates.rows.offsets[:-1]).to_list()
    found = [None if place < 0 else queries[int(place)] for place in slates.query]
    assert found == texts


def by_row(found: Requests) -> pl.DataFrame:
    """Give the grade of each row, by what names it."""
    return found.frame.with_columns(pl.Series("grade", found.slates.grade))


@pytest.mark.parametrize("hours", [0.5, 3, 8, 13, 31])
def test_a_period_ends_without_costing_its_last_requests_a_label(
    trained_workspace: Workspace, tiny_log: Log, hours: float
) -> None:
    queries = query_texts(trained_workspace)
    whole = by_row(read_slates(trained_workspace, tiny_log, queries, WHOLE, PAST))
    middle = whole[Impressions.timestamp.name][whole.height // 2]
    for period in (
        Period(None, middle + timedelta(hours=hours)),
        Period(middle - timedelta(days=3), middle + timedelta(hours=hours)),
    ):
        found = by_row(read_slates(trained_workspace, tiny_log, queries, period, PAST))
        expected = whole.filter(period.contains(Impressions.timestamp.col))
        assert found.equals(expected)


def rewritten(workspace: Workspace, table: str, frame: pl.DataFrame) -> None:
    frame.write_parquet(workspace.location(table))


def test_a_period_needs_the_gap_after_it_and_nothing_later(tiny_workspace: Workspace) -> None:
    workspace, log = tiny_workspace, open_workspace_log(tiny_workspace)
    queries, window = query_texts(workspace), workspace.config.labels.attribution_window
    interactions = workspace.scan("interactions").collect()
    shown = workspace.scan("impressions").select("request_id", "item_id", "timestamp").collect()
    took_long = interactions.join(shown, on=["request_id", "item_id"], suffix="_shown").filter(
        Interactions.timestamp.col > pl.col("timestamp_shown") + timedelta(seconds=1)
    )
    end = took_long[Interactions.timestamp.name][took_long.height // 2]
    period = Period(None, end)
    found = read_slates(workspace, log, queries, period, PAST)
    last = found.frame[Impressions.timestamp.name].max()
    assert isinstance(last, datetime)
    assert found.slates.labels_end == int((last + window).timestamp() * 1e6)
    for until, differs in ((end + window, False), (end, True)):
        known = interactions.filter(Interactions.timestamp.col < until)
        assert known.height < interactions.height
        rewritten(workspace, "interactions", known)
        cut = read_slates(workspace, log, queries, period, PAST).slates.grade
        assert (cut <= found.slates.grade).all()
        assert (cut < found.slates.grade).any() == differs


def test_every_label_is_decided_before_the_next_period(
    trained_workspace: Workspace, tiny_log: Log
) -> None:
    queries = query_texts(trained_workspace)
    found = [
        read_slates(trained_workspace, tiny_log, queries, period, PAST)
        for period in split_of(trained_workspace)
    ]
    for earlier, later in itertools.pairwise(found):
        assert earlier.slates.labels_end <= later.slates.rows.request_time[0]


def test_what_follows_an_impression_of_the_gap_is_not_the_periods(
    tiny_workspace: Workspace,
) -> None:
    workspace = tiny_workspace
    end, window = workspace.config.split.text_end, workspace.config.labels.attribution_window
    shown = workspace.scan("impressions").filter(Impressions.user_id.col.is_not_null())
    one = shown.head(1).collect()
    request, time = Impressions.request_id.name, Impressions.timestamp.name
    at = {"in": end - window / 4, "gap": end + window / 4}
    impressions = pl.concat(
        one.with_columns(
            pl.lit(name).alias(request), pl.lit(moment).cast(one.schema[time]).alias(time)
        )
        for name, moment in at.items()
    )
    clicks = workspace.scan("interactions").head(1).collect()
    click = clicks.with_columns(
        pl.lit(None, pl.String).alias(Interactions.request_id.name),
        *(pl.lit(one[name][0]).alias(name) for name in ("user_id", "item_id")),
        pl.lit("click").alias(Interactions.kind.name),
    )
    log, period = open_workspace_log(workspace), Period(None, end)
    rewritten(workspace, "impressions", impressions)
    for moment, expected in ((end + window / 8, 1), (end + window / 2, 0)):
        timestamp = pl.lit(moment).cast(clicks.schema[time]).alias(time)
        rewritten(workspace, "interactions", click.with_columns(timestamp))
        found = read_slates(workspace, log, query_texts(workspace), period, PAST)
        assert found.slates.grade.tolist() == [expected]


def test_requests_whose_window_goes_on_beyond_the_logs_end_are_left_out_and_counted(
    tiny_workspace: Workspace, tmp_path: Path
) -> None:
    workspace, window = tiny_workspace, tiny_workspace.config.labels.attribution_window
    late_days, queries = workspace.config.features.late_days, query_texts(workspace)
    times = workspace.scan("impressions").select("timestamp").collect()["timestamp"]
    now = times.sort()[times.len() // 2] + timedelta(microseconds=1)
    assert isinstance(now, datetime)
    microsecond = timedelta(microseconds=1)
    log = open_log(
        log_tables(workspace),
        late_days,
        window // microsecond,
        tmp_path / "log",
        now=(now - datetime(1970, 1, 1, tzinfo=UTC)) // microsecond,
    )
    found = read_slates(workspace, log, queries, WHOLE, PAST)
    shown = workspace.scan("impressions").filter(Impressions.timestamp.col < now).collect()
    final = shown.filter(Impressions.timestamp.col + window <= now)
    assert found.frame.height == final.height
    assert found.period.end is not None
    assert found.frame.filter(~found.period.contains(Impressions.timestamp.col)).is_empty()
    left_out = shown.filter(Impressions.timestamp.col + window > now)
    assert left_out[Impressions.request_id.name].n_unique() == log.set_aside.unlabelled > 0
    assert found.slates.labels_end <= log.end
    whole = by_row(read_slates(workspace, open_workspace_log(workspace), queries, WHOLE, PAST))
    graded = by_row(found)
    kept = whole.join(graded, on=["request_id", "item_id"], how="semi", maintain_order="left")
    assert graded.equals(kept)


def test_rows_of_a_log_that_goes_on_are_those_with_final_grades(
    tiny_data: TrainingData, tiny_bundle: Bundle
) -> None:
    test, signals = tiny_data.config.periods.test, tiny_bundle.signals
    whole = tiny_data.rows(signals, 0, test)
    middle = int(whole.slates.rows.request_time[len(whole.slates) // 2])
    early = replace(tiny_data, log=replace(tiny_data.log, labelled_until=middle))
    rows = early.rows(signals, 0, test)
    kept = int((whole.slates.rows.time < middle).sum())
    assert 0 < kept < len(whole.matrix)
    np.testing.assert_array_equal(rows.matrix, whole.matrix[:kept])
    np.testing.assert_array_equal(rows.slates.grade, whole.slates.grade[:kept])


def test_histories_hold_the_newest_events_before_the_request(
    trained_workspace: Workspace, tiny_log: Log
) -> None:
    slates = read_slates(
        trained_workspace, tiny_log, query_texts(trained_workspace), WHOLE, PAST
    ).slates
    history = slates.history
    assert (history.time < np.repeat(slates.rows.request_time, history.lengths)).all()
    assert (np.diff(history.padded(history.time, PAST, 0), axis=1) <= 0).all()
    interactions = trained_workspace.scan("interactions").collect()
    chosen = int(np.flatnonzero(history.lengths == PAST)[-1])
    user = tiny_log.user_ids[int(slates.rows.request_user[chosen])]
    past = interactions.filter(
        Interactions.user_id.col == user,
        Interactions.timestamp.col.dt.timestamp("us") < int(slates.rows.request_time[chosen]),
    ).sort(Interactions.timestamp.name)
    newest = past[Interactions.timestamp.name].dt.timestamp("us").to_list()[-PAST:][::-1]
    assert history.of(chosen).time.tolist() == newest


def test_a_cut_is_the_same_requests(trained_workspace: Workspace, tiny_log: Log) -> None:
    slates = read_slates(
        trained_workspace, tiny_log, query_texts(trained_workspace), WHOLE, PAST
    ).slates
    middle = len(slates) // 2
    left, right = slates.cut(0, middle), slates.cut(middle, len(slates))
    assert len(left) + len(right) == len(slates)
    np.testing.assert_array_equal(np.append(left.grade, right.grade), slates.grade)
    np.testing.assert_array_equal(np.append(left.rows.item, right.rows.item), slates.rows.item)
    assert len(right.history) == len(right)
    for part in ("item", "kind", "time"):
        both = [getattr(each.history, part) for each in (left, right)]
        np.testing.assert_array_equal(np.concatenate(both), getattr(slates.history, part))
    assert (left.rows.offsets[0], right.rows.offsets[0]) == (0, 0)


def test_an_empty_period_is_refused(trained_workspace: Workspace, tiny_log: Log) -> None:
    start = trained_workspace.config.split.text_end
    far = replace(WHOLE, start=start + timedelta(days=4000))
    with pytest.raises(DataError, match="no request from"):
        read_slates(trained_workspace, tiny_log, query_texts(trained_workspace), far, PAST)


def test_a_row_stands_for_as_many_showings_as_its_weight_and_for_one_without(
    tiny_workspace: Workspace,
) -> None:
    workspace, log = tiny_workspace, open_workspace_log(tiny_workspace)

    def found() -> Requests:
        return read_slates(workspace, log, query_texts(workspace), WHOLE, PAST)

    assert not found().slates.aggregated
    shown = workspace.scan("impressions").collect()
    row = pl.int_range(pl.len())
    table = shown.with_columns(pl.when(row % 3 > 0).then(row / 2).alias("weight"))
    rewritten(workspace, "impressions", table)
    slates, frame = found().slates, found().frame
    keys = ["request_id", "item_id"]
    expected = frame.join(table, on=keys, how="left", maintain_order="left")["weight"].fill_null(1)
    np.testing.assert_array_equal(slates.weight, expected.to_numpy())
    assert slates.aggregated
