import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.ranker.calibration import fit_calibration

_SCORES = st.lists(
    st.tuples(st.floats(-50, 50, allow_nan=False), st.booleans()), min_size=1, max_size=300
)


@given(_SCORES)
def test_it_rises_with_the_score_and_is_never_certain(rows: list[tuple[float, bool]]) -> None:
    scores = np.array([score for score, _ in rows])
    positive = np.array([good for _, good in rows])
    grid = np.sort(np.concatenate([scores, np.linspace(-100, 100, 50)]))
    probability = fit_calibration(scores, positive).probability(grid)
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
    told = fit_calibration(scores, positive).probability(scores)
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
    told = fit_calibration(scores, positive).probability(np.array([0.0, 1.0, 2.0]))
    assert told == pytest.approx([20 / 1_000, 100 / 1_000, 500 / 1_000], abs=0.01)
    order = np.random.default_rng(0).permutation(3_000)
    again = fit_calibration(scores[order], positive[order]).probability(np.array([0.0, 1.0, 2.0]))
    np.testing.assert_array_equal(again, told)


def test_it_tells_how_often_a_score_comes_true() -> None:
    random = np.random.default_rng(0)
    scores = random.normal(size=100_000)
    truth = 1 / (1 + np.exp(2 - 1.5 * scores))
    calibration = fit_calibration(scores, random.random(len(scores)) < truth)
    fresh = np.linspace(-1.5, 1.5, 31)
    expected = 1 / (1 + np.exp(2 - 1.5 * fresh))
    np.testing.assert_allclose(calibration.probability(fresh), expected, atol=0.04)


def test_a_rare_positive_is_told_as_rare() -> None:
    """Eleven of a thousand: drawing bins to one half told nearly twice as much."""
    random = np.random.default_rng(1)
    scores = random.normal(size=10_000)
    positive = np.zeros(10_000, bool)
    positive[random.permutation(10_000)[:110]] = True
    told = fit_calibration(scores, positive).probability(scores)
    assert told.mean() == pytest.approx(110 / 10_000, rel=0.01)


def test_a_single_row_is_drawn_to_the_rate_of_one_and_a_half_in_two() -> None:
    calibration = fit_calibration(np.array([0.5]), np.array([True]))
    base, weight = (1 + 1 / 2) / (1 + 1), 1 / (1 + 1)
    expected = (1 - weight) * 1 + weight * base
    assert calibration.probability(np.array([-9, 0.5, 9])) == pytest.approx(expected)
