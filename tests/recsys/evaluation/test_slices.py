"""Which requests a slice holds, which of them have a value, and when a slice says nothing."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from data_contracts.events import Impressions, Interactions
from features.arrays.clock import DAY
from features.log.history import History
from features.log.requests import Rows
from recsys.bundle.bundle import Bundle
from recsys.evaluation.evaluate import NEW_ITEMS, NEW_TO_USER, NEW_USERS, slices_of
from recsys.evaluation.result import ALL, BEHAVIOUR_ONLY, TEXT_AND_BEHAVIOUR, SliceSize
from recsys.evaluation.slices import (
    Slice,
    clusters_of,
    estimates_of,
    sizes_of,
    slice_of,
    values_by_key,
    values_of,
)
from recsys.labels.slates import LabelledSlates
from recsys.labels.split import Period
from recsys.metrics.intervals import Estimate
from recsys.metrics.ranking import AUC, MRR, NDCG_AT_10
from recsys.training.data import TrainingData
from recsys.training.rows import RankingRows
from recsys.training.slates import Requests
from recsys.workspace.feature_sets import interaction_kinds
from tests.worlds import NOON

GAINS = (0, 1, 3)
PART = "part"


def rows_of(grades: list[list[int]]) -> RankingRows:
    """Give requests of a user each, with nothing known but the grades."""
    sizes = [len(each) for each in grades]
    n_requests, n_rows = len(sizes), sum(sizes)
    none = np.zeros(0, np.int32)
    no_history = History(
        np.zeros(n_requests + 1, np.int64), none, none.astype(np.int16), none.astype(np.int64)
    )
    slates = LabelledSlates(
        Rows(
            NOON + np.arange(n_requests),
            np.arange(n_requests, dtype=np.int32),
            np.append(0, np.cumsum(sizes)),
            np.arange(n_rows, dtype=np.int32),
        ),
        np.arange(n_rows, dtype=np.int32),
        np.array([grade for each in grades for grade in each], np.uint8),
        np.ones(n_rows),
        no_history,
        none,
        np.full(n_requests, -1, np.int32),
        NOON + DAY,
    )
    empty = np.zeros((n_rows, 0), np.float32)
    return RankingRows(Requests(slates, pl.DataFrame(), Period(None, None)), empty, empty, {})


def size_of(rows: RankingRows, kept: np.ndarray, name: str = PART) -> SliceSize:
    (size,) = sizes_of(rows, [slice_of(name, rows, kept)], GAINS)
    return size


def test_only_requests_with_something_to_order_count_and_the_others_are_told() -> None:
    rows = rows_of([[1, 0], [0, 0], [2, 1], [0, 2, 0], [1], [0, 1]])
    last = np.array([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1], bool)
    whole = size_of(rows, ~last)
    assert (whole.n_judged, whole.n_users) == (2, 2)
    assert size_of(rows, np.arange(len(rows.matrix)) < 3).n_without_positive == 1
    assert (whole.n_without_positive, whole.n_only_positives) == (1, 2)
    assert (whole.share_of_requests, whole.share_of_candidates) == (2 / 3, 10 / 12)
    score = np.arange(len(rows.matrix), dtype=np.float64)
    values = values_of(rows, slice_of(PART, rows, ~last), score, GAINS)
    for each in values.values():
        assert (~np.isnan(each)).tolist() == [True, False, False, True, False, False]


def test_a_slice_where_most_requests_have_positives_only_leaves_chance_where_it_was() -> None:
    rows = rows_of([[1, 0, 0, 0]] * 400)
    place = np.arange(len(rows.matrix)) % 4
    request = rows.slates.rows.request
    part = slice_of(PART, rows, (place == 0) | ((place == 1) & (request % 4 == 0)))
    score = np.random.default_rng(0).random(len(rows.matrix))
    chance = {NDCG_AT_10: (1 + 1 / np.log2(3)) / 2, MRR: (1 + 1 / 2) / 2, AUC: 1 / 2}
    values = values_of(rows, part, score, GAINS)
    for metric, expected in chance.items():
        assert np.isfinite(values[metric]).sum() == 400 / 4
        assert np.nanmean(values[metric]) == pytest.approx(expected, abs=0.15)
    assert size_of(rows, np.isin(np.arange(len(place)), part.rows)).n_only_positives == 300


def test_a_request_that_keeps_its_candidates_keeps_its_values_ties_too() -> None:
    rows = rows_of([[0, 0, 1], *[[1, 0, 0, 0, 2, 0]] * 20])
    tied = np.zeros(len(rows.matrix))
    whole = values_of(rows, slice_of(ALL, rows, tied == 0), tied, GAINS)
    later = values_of(rows, slice_of(PART, rows, np.arange(len(tied)) > 0), tied, GAINS)
    for name, values in whole.items():
        np.testing.assert_array_equal(later[name][1:], values[1:])
    assert len(set(whole[NDCG_AT_10][1:])) > 1


def test_a_user_is_one_cluster_and_every_guests_request_another() -> None:
    rows = rows_of([[1, 0]] * 6)
    users = np.array([3, -1, 0, 3, -1, 0], np.int32)
    requests = replace(rows.slates.rows, request_user=users)
    slates = replace(rows.slates, rows=requests)
    clusters = clusters_of(replace(rows, requests=replace(rows.requests, slates=slates)))
    assert len(set(clusters.tolist())) == 2 + 2
    assert clusters[0] == clusters[3] == 3
    assert clusters[2] == clusters[5] == 0


def test_weights_are_as_good_as_copies_of_the_requests() -> None:
    random = np.random.default_rng(0)
    grades, times = random.choice(3, (60, 5), p=(0.7, 0.2, 0.1)), random.integers(1, 6, 60)
    copy = np.repeat(np.arange(60), times)
    rows, copies = rows_of(grades.tolist()), rows_of(grades[copy].tolist())
    slates = replace(rows.slates, weight=np.repeat(times, 5).astype(np.float64))
    rows = replace(rows, requests=replace(rows.requests, slates=slates))
    scores = {model: random.random((60, 5)) for model in (TEXT_AND_BEHAVIOUR, BEHAVIOUR_ONLY)}
    kept = random.random((60, 5)) < 0.6

    def found(
        rows: RankingRows, request: np.ndarray
    ) -> tuple[list[SliceSize], list[Estimate], list[Estimate]]:
        parts = [
            slice_of(name, rows, each[request].ravel())
            for name, each in ((ALL, np.ones_like(kept)), (PART, kept))
        ]
        told = {model: score[request].ravel() for model, score in scores.items()}
        columns = values_by_key(rows, parts, told, GAINS)
        values, gains = estimates_of(columns, request, rows.slates.request_weight)
        sizes = sizes_of(rows, parts, GAINS)
        return sizes, [each.estimate for each in values], [each.estimate for each in gains]

    weighted, repeated = found(rows, np.arange(60)), found(copies, copy)
    for one, other in zip(weighted[0], repeated[0], strict=True):
        assert (one.showings, other.showings) == (other.n_judged, None)
        assert one.n_judged < other.n_judged
        shares = ("share_of_requests", "share_of_candidates")
        assert [getattr(one, share) for share in shares] == pytest.approx(
            [getattr(other, share) for share in shares]
        )
    pairs = zip(weighted[1] + weighted[2], repeated[1] + repeated[2], strict=True)
    for found_one, expected in pairs:
        wanted = (expected.mean, expected.low, expected.high)
        assert (found_one.mean, found_one.low, found_one.high) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("requests", "kept", "verdict"),
    [
        (100, 96, "too wide"),
        (100, 95, None),
        (200, 2, None),
        (200, 1, "too narrow"),
        (200, 0, "too narrow"),
    ],
)
def test_a_slice_of_nearly_all_or_next_to_none_says_nothing(
    requests: int, kept: int, verdict: str | None
) -> None:
    rows = rows_of([[1, 0]] * requests)
    inside = rows.slates.rows.request < kept
    assert size_of(rows, inside).says_nothing == verdict
    assert size_of(rows, inside).share_of_requests == kept / requests
    assert size_of(rows, inside | True, ALL).says_nothing is None


def test_a_slice_that_leaves_few_candidates_but_the_easy_ones_out_is_not_too_wide() -> None:
    rows = rows_of([[1, *[0] * 99]] * 10)
    assert size_of(rows, rows.slates.grade == 0).says_nothing == "too narrow"
    easy = (np.arange(len(rows.matrix)) % 100 == 0) & (rows.slates.rows.request < 5)
    size = size_of(rows, ~easy)
    assert size.share_of_candidates == 1 - 5 / 1000
    assert size.says_nothing is None


@pytest.fixture(scope="module")
def test_rows(tiny_data: TrainingData, tiny_bundle: Bundle) -> RankingRows:
    until = int(tiny_bundle.manifest.cut_offs.text_trained_until.timestamp() * 1e6)
    return tiny_data.rows(tiny_bundle.signals, until, tiny_data.config.periods.test)


@pytest.fixture(scope="module")
def past(tiny_data: TrainingData) -> pl.DataFrame:
    """What happened, by the tables themselves."""
    kinds = interaction_kinds(tiny_data.config)
    table = tiny_data.workspace.scan("interactions").filter(Interactions.kind.col.is_in(kinds))
    return table.collect()


def slice_named(data: TrainingData, rows: RankingRows, name: str) -> Slice:
    (found,) = [part for part in slices_of(data.config, rows) if part.name == name]
    return found


def before_each(rows: RankingRows, past: pl.DataFrame, on: list[str]) -> pl.DataFrame:
    """Join each row with the earlier interactions of its user or item."""
    shown = rows.requests.frame.with_row_index("row")
    then = past.rename({Interactions.timestamp.name: "then"})
    joined = shown.join(then.select(*on, "then", "kind", "session_id"), on=on)
    return joined.filter(pl.col("then") < pl.col(Impressions.timestamp.name))


def test_users_of_few_visits_are_those_who_came_on_at_most_two_occasions(
    tiny_data: TrainingData, test_rows: RankingRows, past: pl.DataFrame
) -> None:
    visits = (
        before_each(test_rows, past, [Interactions.user_id.name])
        .group_by("row")
        .agg(pl.struct("session_id", pl.col("then").dt.date()).n_unique().alias("visits"))
    )
    user = test_rows.requests.frame[Impressions.user_id.name]
    many = visits.filter(pl.col("visits") > 2)["row"].to_list()
    expected = np.setdiff1d(np.flatnonzero(user.is_not_null()), many)
    found = slice_named(tiny_data, test_rows, NEW_USERS).rows
    assert 0 < len(found) < len(user)
    np.testing.assert_array_equal(found, expected)


def test_items_new_to_the_user_are_those_the_user_never_took(
    tiny_data: TrainingData, test_rows: RankingRows, past: pl.DataFrame
) -> None:
    strong = past.filter(kind=interaction_kinds(tiny_data.config)[-1])
    both = [Interactions.user_id.name, Interactions.item_id.name]
    taken = before_each(test_rows, strong, both)["row"].unique().to_list()
    found = slice_named(tiny_data, test_rows, NEW_TO_USER).rows
    assert taken
    np.testing.assert_array_equal(found, np.setdiff1d(np.arange(len(test_rows.matrix)), taken))


def test_young_items_are_those_that_nobody_took_until_thirty_days_ago(
    tiny_data: TrainingData, test_rows: RankingRows, past: pl.DataFrame
) -> None:
    strong = past.filter(kind=interaction_kinds(tiny_data.config)[-1])
    taken = before_each(test_rows, strong, [Interactions.item_id.name])
    long_ago = pl.col(Impressions.timestamp.name) - timedelta(days=30)
    old = taken.filter(pl.col("then") <= long_ago)["row"].unique().to_list()
    found = slice_named(tiny_data, test_rows, NEW_ITEMS).rows
    np.testing.assert_array_equal(found, np.setdiff1d(np.arange(len(test_rows.matrix)), old))
