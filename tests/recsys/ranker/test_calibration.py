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


def test_it_tells_how_often_a_score_comes_true() -> None:
    random = np.random.default_rng(0)
    scores = random.normal(size=100_000)
    truth = 1 / (1 + np.exp(2 - 1.5 * scores))
    calibration = fit_calibration(scores, random.random(len(scores)) < truth)
    fresh = np.linspace(-1.5, 1.5, 31)
    expected = 1 / (1 + np.exp(2 - 1.5 * fresh))
    np.testing.assert_allclose(calibration.probability(fresh), expected, atol=0.04)


def test_the_mean_probability_is_the_share_of_positives() -> None:
    random = np.random.default_rng(1)
    scores = random.normal(size=5_000)
    positive = random.random(len(scores)) < 0.1
    found = fit_calibration(scores, positive).probability(scores).mean()
    assert found == pytest.approx((500 + 100) / (5_000 + 200), abs=0.02)


def test_a_single_row_counts_as_one_of_three() -> None:
    calibration = fit_calibration(np.array([0.5]), np.array([True]))
    assert calibration.probability(np.array([-9, 0.5, 9])) == pytest.approx((1 + 1) / (1 + 2))
