"""Distributions in bounded memory, against numpy on all values."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.checks.sketch import Sketch, decile_bins, stability_index, value_of

FLOATS = st.floats(-1e6, 1e6, width=32, allow_subnormal=False)


def sketch_of(*parts: np.ndarray) -> Sketch:
    sketch = Sketch.empty(1)
    for part in parts:
        sketch.add([part.astype(np.float32)])
    return sketch


def bucket_of(values: np.ndarray) -> np.ndarray:
    """Give the bucket that each value is counted in."""
    return np.array([np.flatnonzero(sketch_of(value).counts[0])[0] for value in values[:, None]])


@given(st.lists(FLOATS, min_size=2, max_size=50))
def test_buckets_rise_with_the_values_and_are_narrow(values: list[float]) -> None:
    array = np.sort(np.array(values, np.float32))
    buckets = bucket_of(array)
    assert (np.diff(buckets) >= 0).all()
    back = value_of(buckets)
    normal = np.abs(array) > 1e-30
    assert (np.abs(back - array)[normal] <= np.abs(array)[normal] / 128).all()


def test_whole_numbers_up_to_256_have_buckets_of_their_own() -> None:
    numbers = np.arange(-256, 257).astype(np.float32)
    np.testing.assert_array_equal(value_of(bucket_of(numbers)), numbers)
    assert len(np.unique(bucket_of(numbers))) == 513
    assert bucket_of(np.array([-0.0], np.float32)) == bucket_of(np.array([0.0], np.float32))


@settings(max_examples=60)
@given(st.lists(st.lists(FLOATS | st.just(math.nan), max_size=30), min_size=1, max_size=4))
def test_moments_are_those_of_all_values_whatever_the_parts(parts: list[list[float]]) -> None:
    sketch = sketch_of(*(np.array(part, np.float32) for part in parts))
    values = np.array([v for part in parts for v in part], np.float32).astype(np.float64)
    known = values[~np.isnan(values)]
    assert sketch.rows == len(values)
    assert sketch.known[0] == len(known)
    assert sketch.zeros(0) == (known == 0).sum()
    if len(known):
        scale = max(np.abs(known).max(), 1e-30)
        assert sketch.mean[0] == pytest.approx(known.mean(), abs=1e-9 * scale)
        assert sketch.deviation(0) == pytest.approx(known.std(), abs=1e-6 * scale)
        assert (sketch.low[0], sketch.high[0]) == (known.min(), known.max())
    else:
        assert math.isnan(sketch.deviation(0))


def test_quantiles_are_numpys_to_the_width_of_a_bucket() -> None:
    values = np.random.default_rng(0).lognormal(size=5000).astype(np.float32)
    levels = np.array([0.01, 0.25, 0.5, 0.75, 0.99])
    expected = np.quantile(values, levels, method="inverted_cdf")
    found = sketch_of(values[:2000], values[2000:]).quantiles(0, levels)
    np.testing.assert_allclose(found, expected, rtol=1 / 128)
    assert np.isnan(sketch_of(np.array([np.nan])).quantiles(0, levels)).all()


def test_what_is_not_finite_is_missing() -> None:
    sketch = sketch_of(np.array([np.inf, -np.inf, np.nan, 1.0]))
    assert (sketch.rows, sketch.known[0], sketch.mean[0]) == (4, 1, 1.0)


def test_deciles_part_equal_shares_and_give_way_to_repeats() -> None:
    tens = sketch_of(np.repeat(np.arange(1.0, 11.0), 7))
    np.testing.assert_array_equal(value_of(decile_bins(tens, 0)), np.arange(1, 10))
    np.testing.assert_array_equal(tens.binned(0, decile_bins(tens, 0)), [*[7] * 10, 0])
    zeros = sketch_of(np.array([0.0] * 85 + [1.0] * 10 + [5.0] * 5))
    np.testing.assert_array_equal(value_of(decile_bins(zeros, 0)), [0, 1])
    np.testing.assert_array_equal(zeros.binned(0, decile_bins(zeros, 0)), [85, 10, 5, 0])
    constant = sketch_of(np.array([3.0, 3.0, np.nan]))
    assert not len(decile_bins(constant, 0))
    np.testing.assert_array_equal(constant.binned(0, decile_bins(constant, 0)), [2, 1])
    assert not len(decile_bins(sketch_of(np.array([np.nan])), 0))


def test_the_index_is_that_worked_by_hand() -> None:
    # Shares 1/2, 1/2 against 1/4, 3/4: (1/4 - 1/2) ln(1/2) + (3/4 - 1/2) ln(3/2) = ln(3) / 4.
    many = stability_index(np.array([10**9, 10**9]), np.array([5 * 10**8, 15 * 10**8]))
    assert many == pytest.approx(math.log(3) / 4, rel=1e-6)
    # Few rows: 2 and 2 of 4 against 0 and 3 of 3, half a row added to each.
    p, q = (2.5 / 5, 2.5 / 5), (0.5 / 4, 3.5 / 4)
    expected = (q[0] - p[0]) * math.log(q[0] / p[0]) + (q[1] - p[1]) * math.log(q[1] / p[1])
    assert stability_index(np.array([2, 2]), np.array([0, 3])) == pytest.approx(expected)
    assert stability_index(np.array([5, 5]), np.array([5, 5])) == 0
    assert math.isnan(stability_index(np.array([0, 0]), np.array([1, 1])))
