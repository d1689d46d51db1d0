import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.errors import UsageError
from recsys.metrics import intervals
from recsys.metrics.intervals import Estimate, bootstrap_means


def bootstrap_mean(
    values: np.ndarray, users: npt.ArrayLike, level: float = 0.95, resamples: int = 1000
) -> Estimate:
    """Estimate a single column."""
    return bootstrap_means(values[:, None], users, level=level, resamples=resamples)[0]


def test_the_mean_ignores_requests_without_a_value() -> None:
    values = np.array([1.0, math.nan, 2.0, 6.0])
    estimate = bootstrap_mean(values, ["a", "b", "c", "c"])
    assert estimate.mean == (1 + 2 + 6) / 3
    assert (estimate.n_requests, estimate.n_clusters) == (3, 2)
    # Resamples are {a, a}, {a, c} and {c, c} (b has no value): means 1, 3 and 4 are the extremes.
    assert (estimate.low, estimate.high) == (1, (2 + 6) / 2)


@settings(max_examples=30)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30), st.integers(1, 8))
def test_the_interval_lies_within_the_values_and_is_reproducible(
    numbers: list[float], n_users: int
) -> None:
    values = np.array(numbers)
    users = np.arange(len(values)) % n_users
    estimate = bootstrap_mean(values, users, resamples=200)
    assert values.min() - 1e-9 <= estimate.low <= estimate.high <= values.max() + 1e-9
    assert estimate == bootstrap_mean(values, users, resamples=200)


def test_columns_are_estimated_as_if_alone() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(200, 3))
    values[rng.random((200, 3)) < 0.3] = np.nan
    users = rng.integers(0, 50, 200)
    together = bootstrap_means(values, users, resamples=100)
    alone = [bootstrap_mean(values[:, column], users, resamples=100) for column in range(3)]
    for one, other in zip(together, alone, strict=True):
        assert (one.mean, one.low, one.high) == pytest.approx((other.mean, other.low, other.high))


def test_a_difference_is_paired_request_by_request() -> None:
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(100), 3)
    baseline = rng.normal(size=300)
    better = baseline + 0.1
    better[:10] = math.nan
    estimate = bootstrap_mean(better - baseline, users)
    assert (estimate.mean, estimate.low, estimate.high) == pytest.approx((0.1, 0.1, 0.1))
    assert estimate.n_requests == 290
    assert bootstrap_mean(better, users).high - bootstrap_mean(better, users).low > 0.1


def test_requests_of_one_user_widen_the_interval() -> None:
    rng = np.random.default_rng(1)
    n_users, each = 100, 20
    values = np.repeat(rng.normal(size=n_users), each) + 0.1 * rng.normal(size=n_users * each)
    clustered = bootstrap_mean(values, np.repeat(np.arange(n_users), each))
    naive = bootstrap_mean(values, np.arange(len(values)))
    ratio = (clustered.high - clustered.low) / (naive.high - naive.low)
    # Nearly all variance is between users: the width goes with 1/sqrt(users), not 1/sqrt(requests).
    assert ratio == pytest.approx(math.sqrt(each), rel=0.15)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    worlds, n_users, each = 300, 60, 5
    rng = np.random.default_rng(2)
    taste = np.repeat(rng.normal(size=(n_users, worlds)), each, axis=0)
    values = 0.5 + taste + rng.normal(size=(n_users * each, worlds))
    estimates = bootstrap_means(values, np.repeat(np.arange(n_users), each), resamples=400)
    covered = sum(one.low <= 0.5 <= one.high for one in estimates) / worlds
    # 300 worlds spread by .013; percentile intervals of 60 users fall a bit short of 95%.
    assert 0.89 <= covered <= 0.98


def test_a_lower_level_is_narrower() -> None:
    values = np.random.default_rng(3).normal(size=200)
    users = np.arange(200)
    wide, narrow = (bootstrap_mean(values, users, level=level) for level in (0.95, 0.5))
    # Normal quantiles: 1.96 against 0.67.
    ratio = (wide.high - wide.low) / (narrow.high - narrow.low)
    assert ratio == pytest.approx(1.96 / 0.6745, rel=0.15)


@pytest.mark.parametrize("values", [np.array([]), np.array([math.nan, math.nan])])
def test_no_value_at_all_is_nan(values: np.ndarray) -> None:
    estimate = bootstrap_mean(values, np.arange(len(values)))
    assert math.isnan(estimate.mean)
    assert math.isnan(estimate.low)
    assert math.isnan(estimate.high)
    assert (estimate.n_requests, estimate.n_clusters) == (0, 0)


def test_a_single_resample_is_one_of_the_possible_means() -> None:
    estimate = bootstrap_mean(np.array([1.0, 3.0]), np.arange(2), resamples=1)
    assert estimate.low == estimate.high
    assert estimate.low in {1.0, 2.0, 3.0}


def test_resamples_are_the_same_however_many_are_drawn_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values, users = np.random.default_rng(4).normal(size=60), np.arange(60) % 20
    together = bootstrap_mean(values, users)
    monkeypatch.setattr(intervals, "_CELLS_AT_ONCE", 7 * 20)
    parts = bootstrap_mean(values, users)
    assert (parts.low, parts.high) == pytest.approx((together.low, together.high))


def test_a_call_that_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="clusters of shape"):
        bootstrap_mean(np.zeros(3), np.arange(2))
    for level in (0, 1, 1.5, 95):
        with pytest.raises(UsageError, match="level"):
            bootstrap_mean(np.zeros(3), np.arange(3), level=level)
    with pytest.raises(UsageError, match="resamples"):
        bootstrap_mean(np.zeros(3), np.arange(3), resamples=0)
