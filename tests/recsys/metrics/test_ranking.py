import math
from dataclasses import dataclass

import ir_measures
import numpy as np
import numpy.typing as npt
import pytest
import sklearn.calibration
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures import AP, RR, R, nDCG

from data_contracts.errors import UsageError
from recsys.metrics.calibration import calibration_bins, calibration_error, log_loss
from recsys.metrics.ranking import (
    RankedRows,
    auc,
    average_precision,
    mrr,
    ndcg_at_k,
    rank_rows,
    recall_at_k,
)

METRICS = (ndcg_at_k, mrr, average_precision, recall_at_k, auc)


@dataclass(frozen=True)
class Rows:
    offsets: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    gains: npt.NDArray[np.float64]

    def ranked(self) -> RankedRows:
        return rank_rows(self.offsets, self.scores, self.gains)


@st.composite
def rows(draw: st.DrawFn, *, ties: bool) -> Rows:
    sizes = draw(st.lists(st.integers(0, 25), min_size=1, max_size=6))
    n = sum(sizes)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    scores = rng.integers(0, 4, n) if ties else rng.permutation(n)
    gains = rng.choice([0, 1, 3, 7], n, p=[0.7, 0.1, 0.1, 0.1])
    offsets = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    return Rows(offsets, scores.astype(np.float64), gains.astype(np.float64))


def one(scores: list[float], gains: list[float]) -> RankedRows:
    return rank_rows([0, len(scores)], scores, gains)


def test_values_of_a_small_slate() -> None:
    ranked = one([0.9, 0.7, 0.5, 0.3], [0, 3, 0, 1])

    ideal = 3 + 1 / math.log2(3)
    assert ndcg_at_k(ranked)[0] == pytest.approx((3 / math.log2(3) + 1 / math.log2(5)) / ideal)
    assert ndcg_at_k(ranked, k=2)[0] == pytest.approx(3 / math.log2(3) / ideal)
    assert mrr(ranked)[0] == 1 / 2
    assert average_precision(ranked)[0] == (1 / 2 + 2 / 4) / 2
    assert recall_at_k(ranked, k=3)[0] == 1 / 2
    assert auc(ranked)[0] == (1 + 0) / (2 * 2)


def test_ten_places_count_where_nothing_else_is_said() -> None:
    gains, scores = np.zeros(12), -np.arange(12.0)
    gains[10] = 1
    ranked = rank_rows(np.array([0, 12]), scores, gains)
    assert ndcg_at_k(ranked)[0] == 0
    assert recall_at_k(ranked)[0] == 0
    assert ndcg_at_k(ranked, 11)[0] == pytest.approx(1 / math.log2(1 + 11))
    assert recall_at_k(ranked, 11)[0] == 1


@pytest.mark.parametrize("gains", [[0, 0], [1, 3], [1], [0], []])
def test_a_request_where_nothing_can_be_ordered_has_no_value(gains: list[float]) -> None:
    ranked = rank_rows([0, len(gains), len(gains) + 2], [*map(float, gains), 2, 1], [*gains, 1, 0])
    assert ranked.judged.tolist() == [False, True]
    for metric in METRICS:
        np.testing.assert_array_equal(metric(ranked), [np.nan, 1])


def test_chance_is_the_same_whatever_share_of_requests_is_all_positive() -> None:
    n_requests, size = 3000, 10
    random = np.random.default_rng(0)
    gains = np.zeros((n_requests, size))
    gains[:, 0] = 1
    scores, offsets = random.random(gains.size), np.arange(n_requests + 1) * size
    plain = rank_rows(offsets, scores, gains.ravel())
    gains[: n_requests // 2] = 1
    mixed = rank_rows(offsets, scores, gains.ravel())
    for metric in METRICS:
        half = n_requests // 2
        assert np.isnan(metric(mixed)[:half]).all()
        assert np.nanmean(metric(mixed)) == pytest.approx(metric(plain)[half:].mean())


def test_ties_count_half_in_auc() -> None:
    assert auc(one([1, 1, 0], [1, 0, 0]))[0] == (1 / 2 + 1) / 2


@settings(max_examples=60)
@given(rows(ties=False))
def test_agrees_with_ir_measures(data: Rows) -> None:
    qrels, run = [], []
    for request, (start, end) in enumerate(zip(data.offsets, data.offsets[1:], strict=False)):
        for row in range(start, end):
            qrels.append(ir_measures.Qrel(str(request), str(row), int(data.gains[row])))
            run.append(ir_measures.ScoredDoc(str(request), str(row), float(data.scores[row])))
    ranked = data.ranked()
    ours = {
        nDCG @ 10: ndcg_at_k(ranked, 10),
        nDCG @ 3: ndcg_at_k(ranked, 3),
        RR: mrr(ranked),
        AP: average_precision(ranked),
        R @ 5: recall_at_k(ranked, 5),
    }
    judged = [
        {False, True} == set((data.gains[start:end] > 0).tolist())
        for start, end in zip(data.offsets, data.offsets[1:], strict=False)
    ]
    for metric in ir_measures.iter_calc(list(ours), qrels, run) if any(judged) else ():
        if judged[int(metric.query_id)]:
            assert ours[metric.measure][int(metric.query_id)] == pytest.approx(metric.value)
    for values in ours.values():
        assert (~np.isnan(values)).tolist() == judged


@settings(max_examples=60)
@given(rows(ties=True))
def test_auc_agrees_with_scikit_learn(data: Rows) -> None:
    values = auc(data.ranked())
    for request, (start, end) in enumerate(zip(data.offsets, data.offsets[1:], strict=False)):
        positive = data.gains[start:end] > 0
        if positive.any() and not positive.all():
            expected = sklearn.metrics.roc_auc_score(positive, data.scores[start:end])
            assert values[request] == pytest.approx(expected)
        else:
            assert np.isnan(values[request])


@settings(max_examples=40)
@given(rows(ties=True))
def test_values_lie_between_zero_and_one(data: Rows) -> None:
    ranked = data.ranked()
    for metric in METRICS:
        values = metric(ranked)
        assert values.shape == (len(data.offsets) - 1,)
        assert ((values >= 0) & (values <= 1 + 1e-12) | np.isnan(values)).all()


@settings(max_examples=40)
@given(rows(ties=True))
def test_ranking_keeps_each_requests_rows(data: Rows) -> None:
    ranked = data.ranked()
    for start, end in zip(data.offsets, data.offsets[1:], strict=False):
        before = sorted(zip(data.scores[start:end], data.gains[start:end], strict=True))
        after = sorted(zip(ranked.scores[start:end], ranked.gains[start:end], strict=True))
        assert before == after
        assert (np.diff(ranked.scores[start:end]) <= 0).all()


@settings(max_examples=40)
@given(rows(ties=True), st.integers(0, 2**32))
def test_tie_keys_make_the_order_independent_of_the_layout(data: Rows, seed: int) -> None:
    keys = np.random.default_rng(seed).permutation(len(data.scores)).astype(np.uint64)
    shuffle = np.concatenate(
        [
            start + np.random.default_rng(seed).permutation(end - start)
            for start, end in zip(data.offsets, data.offsets[1:], strict=False)
        ]
    ).astype(np.int64)
    given_order = rank_rows(data.offsets, data.scores, data.gains, tie_keys=keys)
    shuffled = rank_rows(
        data.offsets, data.scores[shuffle], data.gains[shuffle], tie_keys=keys[shuffle]
    )
    np.testing.assert_array_equal(given_order.gains, shuffled.gains)


@pytest.mark.parametrize("first_is_positive", [True, False])
def test_a_constant_scorer_is_chance_whatever_the_given_order(first_is_positive: bool) -> None:
    n_requests, size = 4000, 20
    gains = np.zeros((n_requests, size))
    gains[:, 0 if first_is_positive else -1] = 1
    offsets = np.arange(n_requests + 1) * size
    ranked = rank_rows(offsets, np.zeros(gains.size), gains.ravel())

    chance = sum(1 / rank for rank in range(1, size + 1)) / size
    spread = math.sqrt(sum(1 / rank**2 for rank in range(1, size + 1)) / size - chance**2)
    assert abs(mrr(ranked).mean() - chance) < 4 * spread / math.sqrt(n_requests)
    assert (auc(ranked) == 1 / 2).all()


def test_the_seed_chooses_the_order_of_ties_and_nothing_else() -> None:
    offsets, scores = [0, 50], np.repeat([2.0, 1.0], 25)
    gains = np.arange(50, dtype=np.float64)
    first, again, other = (rank_rows(offsets, scores, gains, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.gains, again.gains)
    assert (first.gains != other.gains).any()
    assert set(other.gains[:25]) == set(range(25))


@pytest.mark.parametrize(
    ("offsets", "scores", "gains"),
    [
        ([], [], []),
        ([0, 1], [1.0, 2.0], [0.0, 1.0]),
        ([1, 2], [1.0, 2.0], [0.0, 1.0]),
        ([0, 2, 1, 2], [1.0, 2.0], [0.0, 1.0]),
        ([0, 2], [1.0, 2.0], [0.0]),
        ([0, 2], [1.0, math.nan], [0.0, 1.0]),
        ([0, 2], [1.0, 2.0], [0.0, -1.0]),
        ([0, 2], [1.0, 2.0], [0.0, math.nan]),
    ],
)
def test_rows_that_do_not_fit_are_refused(
    offsets: list[int], scores: list[float], gains: list[float]
) -> None:
    with pytest.raises(UsageError):
        rank_rows(offsets, scores, gains)
    with pytest.raises(UsageError):
        rank_rows([offsets], scores, gains)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40))
def test_log_loss_agrees_with_scikit_learn(pairs: list[tuple[float, bool]]) -> None:
    probabilities = np.array([pair[0] for pair in pairs])
    positives = np.array([pair[1] for pair in pairs])
    expected = sklearn.metrics.log_loss(positives, probabilities, labels=[False, True])
    assert log_loss(probabilities, positives) == pytest.approx(expected, abs=1e-12)


def test_calibration_bins_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(5)
    probabilities = rng.beta(1, 9, 3000)
    positives = rng.random(3000) < probabilities**2
    bins = calibration_bins(probabilities, positives, bins=8)
    observed, predicted = sklearn.calibration.calibration_curve(
        positives, probabilities, n_bins=8, strategy="quantile"
    )
    np.testing.assert_allclose([each.predicted for each in bins], predicted)
    np.testing.assert_allclose([each.observed for each in bins], observed)
    assert sum(each.count for each in bins) == 3000
    weights = np.array([each.count for each in bins]) / 3000
    expected = float(weights @ np.abs(predicted - observed))
    assert calibration_error(bins) == pytest.approx(expected)


def test_rows_of_equal_probability_share_a_bin() -> None:
    bins = calibration_bins([0.2] * 6 + [0.7] * 2, [1, 0, 0, 0, 0, 0, 1, 1])
    assert [each.count for each in bins] == [6, 2]
    expected = (6 * abs(0.2 - 1 / 6) + 2 * abs(0.7 - 1)) / 8
    assert calibration_error(bins) == pytest.approx(expected)


def test_nothing_to_measure_is_nan() -> None:
    assert math.isnan(log_loss([], []))
    assert math.isnan(calibration_error(calibration_bins([], [])))


def test_what_is_no_probability_is_refused() -> None:
    with pytest.raises(UsageError, match="calibrate"):
        log_loss([0.5, 1.5], [True, False])
    with pytest.raises(UsageError, match="calibrate"):
        calibration_bins([0.5, math.nan], [True, False])
