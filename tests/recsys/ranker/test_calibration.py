from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.ranker import calibration as calibration_module
from recsys.ranker.calibration import Calibration, fit_calibration, fit_curve, slate_columns
from recsys.ranker.ranker import Ranker

_SCORES = st.lists(
    st.tuples(st.floats(-50, 50, allow_nan=False), st.booleans()), min_size=1, max_size=300
)


@given(_SCORES)
def test_it_rises_with_the_score_and_is_never_certain(rows: list[tuple[float, bool]]) -> None:
    scores = np.array([score for score, _ in rows])
    positive = np.array([good for _, good in rows])
    grid = np.sort(np.concatenate([scores, np.linspace(-100, 100, 50)]))
    probability = fit_curve(scores, positive).probability(grid)
    assert (np.diff(probability) >= -1e-12).all()
    assert ((probability > 0) & (probability < 1)).all()


@given(
    rate=st.floats(-4, np.log10(1 / 2)).map(lambda power: 10**power),
    size=st.integers(1, 20_000),
    steps=st.sampled_from([1, 2, 7, 100, None]),
    seed=st.integers(0, 1_000),
)
def test_the_mean_probability_lies_in_the_interval_of_the_observed_rate(
    rate: float, size: int, steps: int | None, seed: int
) -> None:
    """The interval is one standard error of a rate, of which half a row is added at the ends."""
    random = np.random.default_rng(seed)
    scores = random.standard_t(3, size)
    positive = random.random(size) < rate / (rate + (1 - rate) * np.exp(-scores))
    if steps is not None:
        scores = np.clip(np.round(scores * steps / 10), -steps, steps)
    told = fit_curve(scores, positive).probability(scores)
    observed = positive.mean()
    error = np.sqrt(observed * (1 - observed) / size) + 1 / 2 / size
    assert abs(told.mean() - observed) <= error
    assert (np.diff(told[np.argsort(scores, kind="stable")]) >= 0).all()
    assert np.isfinite(told).all()
    assert ((told > 0) & (told < 1)).all()


def test_rows_of_equal_score_count_as_one_whatever_their_order() -> None:
    scores = np.repeat([0.0, 1.0, 2.0], 1_000)
    positive = np.zeros(3_000, bool)
    positive[:20], positive[1_000:1_100], positive[2_000:2_500] = True, True, True
    told = fit_curve(scores, positive).probability(np.array([0.0, 1.0, 2.0]))
    assert told == pytest.approx([20 / 1_000, 100 / 1_000, 500 / 1_000], abs=0.01)
    order = np.random.default_rng(0).permutation(3_000)
    again = fit_curve(scores[order], positive[order]).probability(np.array([0.0, 1.0, 2.0]))
    np.testing.assert_array_equal(again, told)


def test_bins_of_unequal_size_pool_to_their_common_rate() -> None:
    """A thousand rows at .2 and a hundred at .1, which ought to be higher."""
    scores, positive = np.repeat([0.0, 1.0], [1_000, 100]), np.zeros(1_100, bool)
    positive[:200], positive[1_000:1_010] = True, True
    told = fit_curve(scores, positive).probability(np.array([0.0, 1.0]))
    assert told == pytest.approx((200 + 10) / 1_100, abs=1e-3)


@pytest.mark.parametrize(
    ("rows", "positives", "bins"),
    [(2_000, 100, 10), (2_000, 1_900, 10), (2_000, 19, 1), (5_000, 2_500, 100)],
)
def test_a_bin_holds_ten_of_the_rarer_kind_and_there_are_a_hundred_at_most(
    rows: int, positives: int, bins: int
) -> None:
    random = np.random.default_rng(0)
    positive = random.permutation(rows) < positives
    assert len(fit_curve(random.normal(size=rows), positive).scores) == 2 * bins


def test_it_tells_how_often_a_score_comes_true() -> None:
    random = np.random.default_rng(0)
    scores = random.normal(size=100_000)
    truth = 1 / (1 + np.exp(2 - 1.5 * scores))
    calibration = fit_curve(scores, random.random(len(scores)) < truth)
    fresh = np.linspace(-1.5, 1.5, 31)
    expected = 1 / (1 + np.exp(2 - 1.5 * fresh))
    np.testing.assert_allclose(calibration.probability(fresh), expected, atol=0.04)


def test_a_rare_positive_is_told_as_rare() -> None:
    """Eleven of a thousand: drawing bins to one half told nearly twice as much."""
    random = np.random.default_rng(1)
    scores = random.normal(size=10_000)
    positive = np.zeros(10_000, bool)
    positive[random.permutation(10_000)[:110]] = True
    told = fit_curve(scores, positive).probability(scores)
    assert told.mean() == pytest.approx(110 / 10_000, rel=0.01)


def test_a_single_row_is_drawn_to_the_rate_of_one_and_a_half_in_two() -> None:
    calibration = fit_curve(np.array([0.5]), np.array([True]))
    base, weight = (1 + 1 / 2) / (1 + 1), 1 / (1 + 1)
    expected = (1 - weight) * 1 + weight * base
    assert calibration.probability(np.array([-9, 0.5, 9])) == pytest.approx(expected)


SIZE = 10


def slates(seed: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scores that order a slate, a matrix whose first column tells the slate's rate, true rates."""
    random = np.random.default_rng(seed)
    sizes = np.full(count, SIZE)
    level = np.repeat(random.normal(size=count), sizes)
    scores = random.normal(size=count * SIZE)
    truth = 1 / (1 + np.exp(3 - scores - 1.5 * level))
    matrix = np.column_stack([level, random.normal(size=len(level))]).astype(np.float32)
    matrix[random.random(len(level)) < 0.3, 0] = np.nan
    return scores, matrix, sizes, truth


def fitted(seed: int, count: int = 2_000) -> Calibration:
    scores, matrix, sizes, truth = slates(seed, count)
    positive = np.random.default_rng(seed + 1).random(len(truth)) < truth
    return fit_calibration(scores, matrix, sizes, positive, ("level", "noise"))


def test_slates_that_are_clicked_more_are_told_more() -> None:
    """The fifth of slates with the highest rate and that with the lowest, on fresh slates."""
    calibration = fitted(1)
    scores, matrix, sizes, truth = slates(7, 1_000)
    assert calibration.trees is not None
    told = calibration.probability(scores, matrix, sizes).reshape(-1, SIZE).mean(axis=1)
    alone = calibration.curve.probability(scores).reshape(-1, SIZE).mean(axis=1)
    rate = truth.reshape(-1, SIZE).mean(axis=1)
    order = np.argsort(rate)
    for fifth in (order[:200], order[-200:]):
        off, off_alone = (
            abs(np.log(each[fifth].mean() / rate[fifth].mean())) for each in (told, alone)
        )
        assert off < off_alone / 3


def test_within_a_slate_probability_never_falls_with_the_score() -> None:
    calibration = fitted(2)
    scores, matrix, sizes, _ = slates(8, 300)
    told = calibration.probability(scores, matrix, sizes).reshape(-1, SIZE)
    order = np.argsort(scores.reshape(-1, SIZE), axis=1)
    assert (np.diff(np.take_along_axis(told, order, axis=1), axis=1) >= -1e-12).all()
    assert ((told > 0) & (told < 1)).all()


def test_it_rises_with_the_score_where_what_was_seen_falls() -> None:
    """In slates of a high level the low scores are taken: the order is still the ranker's."""
    scores, matrix, sizes, _ = slates(9, 2_000)
    level = np.nan_to_num(matrix[:, 0])
    truth = 1 / (1 + np.exp(3 - np.where(level > 0, -2, 2) * scores))
    positive = np.random.default_rng(9).random(len(truth)) < truth
    calibration = fit_calibration(scores, matrix, sizes, positive, ("level", "noise"))
    assert calibration.trees is not None
    told = calibration.probability(scores, matrix, sizes).reshape(-1, SIZE)
    order = np.argsort(scores.reshape(-1, SIZE), axis=1)
    assert (np.diff(np.take_along_axis(told, order, axis=1), axis=1) >= -1e-12).all()


def test_a_slate_is_told_the_same_alone_as_among_others() -> None:
    calibration = fitted(3)
    scores, matrix, sizes, _ = slates(9, 20)
    together = calibration.probability(scores, matrix, sizes)
    for place in range(20):
        rows = slice(place * SIZE, (place + 1) * SIZE)
        alone = calibration.probability(scores[rows], matrix[rows], sizes[:1])
        np.testing.assert_allclose(alone, together[rows], rtol=1e-6)


def test_the_mean_over_the_slates_is_their_rate() -> None:
    scores, matrix, sizes, truth = slates(4, 2_000)
    positive = np.random.default_rng(0).random(len(truth)) < truth
    calibration = fit_calibration(scores, matrix, sizes, positive, ("level", "noise"))
    rate = positive.mean()
    error = np.sqrt(rate * (1 - rate) / len(positive))
    told = calibration.probability(scores, matrix, sizes)
    assert abs(told.mean() - rate) <= 2 * error


def test_slates_that_are_all_alike_are_told_by_the_score() -> None:
    scores, matrix, sizes, _ = slates(5, 600)
    truth = 1 / (1 + np.exp(3 - scores))
    positive = np.random.default_rng(0).random(len(truth)) < truth
    calibration = fit_calibration(scores, matrix, sizes, positive, ("level", "noise"))
    fresh, others, _, _ = slates(6, 600)
    told = calibration.probability(fresh, others, sizes)
    assert np.abs(told - calibration.curve.probability(fresh)).mean() < 0.01


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_few_slates_are_told_by_the_score_alone(count: int) -> None:
    calibration = fitted(6, count)
    scores, matrix, sizes, _ = slates(6, count)
    told = calibration.probability(scores, matrix, sizes)
    np.testing.assert_allclose(told, calibration.curve.probability(scores))


def test_columns_are_the_score_and_what_the_slate_has_in_common() -> None:
    nan = np.nan
    matrix = np.array([[1, nan, nan], [3, nan, 2], [nan, 4, 5]], np.float32)
    columns = slate_columns(np.array([1.0, 3.0, 5.0]), matrix, np.array([2, 1]))
    first = [(1 + 3) / 2, 1, 3, np.log(2), (1 + 3) / 2, nan, 2]
    expected = [[1, *first], [3, *first], [5, 5, 0, 5, np.log(1), nan, 4, 5]]
    np.testing.assert_allclose(columns, expected, rtol=1e-6)
    assert columns.dtype == np.float32


@pytest.mark.parametrize("seed", range(20))
def test_too_few_rows_for_a_split_grow_no_trees_whatever_is_rounded(seed: int) -> None:
    random = np.random.default_rng(seed)
    count, width = 240, 10
    scores, matrix = random.normal(size=count), random.normal(size=(count, 2)).astype(np.float32)
    sizes = np.full(count // width, width)
    positive = random.random(count) < 0.1
    assert fit_calibration(scores, matrix, sizes, positive, ("a", "b")).trees is None


def test_trees_over_columns_of_any_name_are_read_again(tmp_path: Path) -> None:
    scores, matrix, sizes, truth = slates(1, 2_000)
    positive = np.random.default_rng(2).random(len(truth)) < truth
    trees = fit_calibration(scores, matrix, sizes, positive, ("attr:brand name", "цена")).trees
    assert trees is not None
    trees.save(tmp_path / "trees.txt")
    again = Ranker.load(tmp_path / "trees.txt")
    assert again.names == trees.names
    assert again.names[-2:] == ("slate_mean_attr:brand name", "slate_mean_цена")


def test_a_curve_by_weights_is_that_of_the_log_with_copies() -> None:
    random = np.random.default_rng(3)
    scores, times = random.normal(size=3_000).round(2), random.integers(1, 6, 3_000)
    positive = random.random(3_000) < 1 / (1 + np.exp(3 - scores))
    found = fit_curve(scores, positive, times.astype(np.float64))
    copies = fit_curve(np.repeat(scores, times), np.repeat(positive, times))
    np.testing.assert_array_equal(found.scores, copies.scores)
    np.testing.assert_allclose(found.probabilities, copies.probabilities)
    assert len(found.scores) != len(fit_curve(scores, positive).scores)


def test_a_calibration_by_weights_is_that_of_the_log_with_copies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A few trees, before rounding says how many; weights do not count into rows of a leaf."""
    monkeypatch.setitem(calibration_module._TREES, "min_data_in_leaf", 1)
    monkeypatch.setattr(calibration_module, "_MOST_TREES", 5)
    kinds, times = slates(1, 20), np.tile([1, 2, 3], 100)
    kind = np.random.default_rng(4).integers(0, 20, len(times))
    rows = (kind[:, None] * SIZE + np.arange(SIZE)).ravel()
    scores, matrix, truth = kinds[0][rows], kinds[1][rows], kinds[3][rows]
    positive = np.random.default_rng(5).random(len(truth)) < truth
    sizes, names = np.full(len(times), SIZE), ("level", "noise")
    weight = np.repeat(times, SIZE).astype(np.float64)
    copy = np.repeat(np.arange(len(times)), times)
    at = (copy[:, None] * SIZE + np.arange(SIZE)).ravel()
    found = fit_calibration(scores, matrix, sizes, positive, names, weight)
    copies = fit_calibration(scores[at], matrix[at], sizes[copy], positive[at], names)
    assert found.trees is not None
    told = found.probability(scores, matrix, sizes)
    np.testing.assert_allclose(told, copies.probability(scores, matrix, sizes), rtol=1e-5)
    plain = fit_calibration(scores, matrix, sizes, positive, names)
    assert np.abs(told - plain.probability(scores, matrix, sizes)).max() > 1e-3


def test_weights_of_one_change_no_probability() -> None:
    scores, matrix, sizes, truth = slates(1, 2_000)
    positive = np.random.default_rng(2).random(len(truth)) < truth
    rows, names = (scores, matrix, sizes, positive), ("level", "noise")
    found, plain = (fit_calibration(*rows, names, each) for each in (np.ones(len(truth)), None))
    told, expected = (each.probability(scores, matrix, sizes) for each in (found, plain))
    np.testing.assert_array_equal(told, expected)
