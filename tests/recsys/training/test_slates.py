import itertools
from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from data_contracts.errors import DataError
from data_contracts.events import Impressions, Interactions
from features.log.log import Log
from recsys.labels.grades import grade_impressions
from recsys.labels.split import Period
from recsys.training.slates import query_texts, read_slates
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
        assert earlier.slates.labels_end <= later.slates.rows.request_time[0]
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


def test_nothing_after_the_end_of_a_period_decides_its_grades(
    trained_workspace: Workspace, tiny_log: Log
) -> None:
    queries = query_texts(trained_workspace)
    interactions = trained_workspace.scan("interactions").collect()
    table = trained_workspace.scan("impressions").collect()
    shown_before = interactions.join(
        table, on=[Impressions.request_id.name, Impressions.item_id.name], suffix="_shown"
    ).filter(Interactions.timestamp.col > pl.col("timestamp_shown") + timedelta(seconds=1))
    late = shown_before.row(0, named=True)
    end = late["timestamp"]
    before, after = (
        read_slates(trained_workspace, tiny_log, queries, Period(None, moment), PAST)
        for moment in (end, end + timedelta(microseconds=1))
    )
    assert before.slates.labels_end == int(end.timestamp() * 1e6)
    changed = np.flatnonzero(before.slates.grade != after.slates.grade[: len(before.slates.grade)])
    rows = before.frame[changed]
    assert late["request_id"] in rows[Impressions.request_id.name].to_list()
    assert (after.slates.grade[changed] > before.slates.grade[changed]).all()


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
