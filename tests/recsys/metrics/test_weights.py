"""A log with weights is the log with each request as often as its weight says."""

import math

import numpy as np
import pytest
import sklearn.metrics

from recsys.metrics.calibration import calibration_bins, calibration_error, log_loss
from recsys.metrics.intervals import bootstrap_means
from recsys.metrics.weights import request_weights, weighted_mean

RANDOM = np.random.default_rng(0)
TIMES = RANDOM.integers(1, 6, 200)
WEIGHTS = TIMES.astype(np.float64)
VALUES = np.where(RANDOM.random((200, 2)) < 0.2, np.nan, RANDOM.normal(size=(200, 2)))
USERS = RANDOM.integers(0, 40, 200)
PROBABILITIES = RANDOM.beta(1, 9, 200).round(2)
POSITIVES = RANDOM.random(200) < PROBABILITIES


def test_a_mean_by_weights_leaves_out_what_has_no_value() -> None:
    values, weights = np.array([1, math.nan, 4]), np.array([0.5, 7, 2])
    assert weighted_mean(values, weights) == (1 * 0.5 + 4 * 2) / (0.5 + 2)
    assert math.isnan(weighted_mean(values[1:2], weights[1:2]))


def test_a_request_weighs_what_its_rows_do_on_average() -> None:
    found = request_weights(np.array([1.0, 2, 6, 5]), np.array([0, 3, 4]))
    assert found.tolist() == [(1 + 2 + 6) / 3, 5]


def test_means_and_intervals_are_those_of_the_log_with_copies() -> None:
    found = bootstrap_means(VALUES, USERS, weights=WEIGHTS, resamples=200)
    copies = bootstrap_means(
        np.repeat(VALUES, TIMES, axis=0), np.repeat(USERS, TIMES), resamples=200
    )
    for one, other, column in zip(found, copies, VALUES.T, strict=True):
        assert (one.mean, one.low, one.high) == pytest.approx((other.mean, other.low, other.high))
        assert one.mean == pytest.approx(weighted_mean(column, WEIGHTS))
        assert (one.n_requests, one.n_clusters) == (np.isfinite(column).sum(), other.n_clusters)


def test_weights_of_one_change_no_bit() -> None:
    ones = np.ones(200)
    assert bootstrap_means(VALUES, USERS, weights=ones) == bootstrap_means(VALUES, USERS)
    assert weighted_mean(VALUES[:, 0], ones) == np.nanmean(VALUES[:, 0])
    assert log_loss(PROBABILITIES, POSITIVES, ones) == log_loss(PROBABILITIES, POSITIVES)
    weighted = calibration_bins(PROBABILITIES, POSITIVES, weights=ones)
    plain = calibration_bins(PROBABILITIES, POSITIVES)
    assert [each.showings for each in weighted] == [each.count for each in plain]
    assert [(each.predicted, each.observed) for each in weighted] == [
        (each.predicted, each.observed) for each in plain
    ]


def test_log_loss_by_weights_agrees_with_scikit_learn() -> None:
    expected = sklearn.metrics.log_loss(POSITIVES, PROBABILITIES.clip(1e-15), sample_weight=WEIGHTS)
    assert log_loss(PROBABILITIES.clip(1e-15), POSITIVES, WEIGHTS) == pytest.approx(expected)


@pytest.mark.parametrize("rows", [200, 7, 1])
def test_calibration_is_that_of_the_log_with_copies(rows: int) -> None:
    told, happened, times = PROBABILITIES[:rows], POSITIVES[:rows], TIMES[:rows]
    found = calibration_bins(told, happened, weights=WEIGHTS[:rows])
    copies = calibration_bins(np.repeat(told, times), np.repeat(happened, times))
    assert [each.showings for each in found] == [each.count for each in copies]
    assert sum(each.count for each in found) == rows
    for one, other in zip(found, copies, strict=True):
        assert (one.predicted, one.observed) == pytest.approx((other.predicted, other.observed))
    assert calibration_error(found) == pytest.approx(calibration_error(copies))
