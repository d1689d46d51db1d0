"""Log loss and calibration error of probabilities."""

from dataclasses import dataclass
from operator import mul

import numpy as np
import numpy.typing as npt

from data_contracts.errors import UsageError
from recsys.metrics.ranking import Floats


def log_loss(
    probabilities: npt.ArrayLike, positives: npt.ArrayLike, weights: Floats | None = None
) -> float:
    """Mean negative log-likelihood, in nats, of rows being positive.

    Args:
        probabilities: float [n_rows], clipped to what float64 can tell from 0 and 1.
        positives: bool [n_rows].
        weights: float64 [n_rows], showings each row stands for; one each when absent.

    Returns:
        The mean over showings; lower is better, NaN without rows.

    Raises:
        UsageError: A probability lies outside of 0..1, or the lengths differ.
    """
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(positives, dtype=bool)
    if fault := _probability_fault(p, y):
        raise UsageError(*fault)
    if not len(p):
        return float("nan")
    eps = np.finfo(np.float64).eps
    p = np.clip(p, eps, 1 - eps)
    return float(-np.average(np.where(y, np.log(p), np.log1p(-p)), weights=weights))


@dataclass(frozen=True)
class CalibrationBin:
    """Rows of similar predicted probability.

    Attributes:
        predicted: Mean predicted probability.
        observed: Share of rows that are positive.
        count: Number of rows.
        showings: How many they stand for; None where each stands for one.
    """

    predicted: float
    observed: float
    count: int
    showings: float | None = None


def calibration_bins(
    probabilities: npt.ArrayLike,
    positives: npt.ArrayLike,
    bins: int = 10,
    weights: Floats | None = None,
) -> list[CalibrationBin]:
    """Compare prediction and outcome in bins of about as many showings each.

    Bins of equal width would put nearly all rows of a rarely clicked slate into the first one.

    Args:
        probabilities: float [n_rows], in 0..1.
        positives: bool [n_rows].
        bins: Number of bins at the most; rows of equal probability share one.
        weights: float64 [n_rows], showings each row stands for; one each when absent.

    Returns:
        Bins that have rows, by rising probability.

    Raises:
        UsageError: A probability lies outside of 0..1, or the lengths differ.
    """
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(positives, dtype=bool)
    if fault := _probability_fault(p, y):
        raise UsageError(*fault)
    if not len(p):
        return []
    w = np.ones(len(p)) if weights is None else weights
    place = np.searchsorted(_edges(p, w, bins), p, side="right")
    count, showings = np.bincount(place), np.bincount(place, w)
    predicted, observed = np.bincount(place, p * w), np.bincount(place, y * w)
    return [
        CalibrationBin(
            float(predicted[i] / showings[i]),
            float(observed[i] / showings[i]),
            int(count[i]),
            None if weights is None else float(showings[i]),
        )
        for i in np.flatnonzero(count)
    ]


def _edges(probabilities: Floats, weights: Floats, bins: int) -> Floats:
    """Give the lowest probability of each bin but the first, float64 [at most bins - 1].

    These part the rows as quantiles would of a table with each row as often as its weight says.
    """
    order = np.argsort(probabilities)
    before = np.cumsum(weights[order])
    # What is 1e-9 over a whole number was rounded.
    showing = np.ceil((before[-1] - 1) * (np.arange(1, bins) / bins) - 1e-9)
    return np.unique(probabilities[order][np.searchsorted(before, showing, side="right")])


def calibration_error(bins: list[CalibrationBin]) -> float:
    """Expected calibration error: |predicted - observed|, averaged over what all bins stand for.

    Naeini, Cooper and Hauskrecht (2015), with bins of equal count. NaN without bins.
    """
    sizes = [each.count if each.showings is None else each.showings for each in bins]
    if not sizes:
        return float("nan")
    errors = (abs(each.predicted - each.observed) for each in bins)
    return sum(map(mul, sizes, errors)) / sum(sizes)


def _probability_fault(
    probabilities: Floats, positives: npt.NDArray[np.bool_]
) -> tuple[str, str, str] | None:
    outside = int((~((probabilities >= 0) & (probabilities <= 1))).sum())
    if probabilities.shape == positives.shape and not outside:
        return None
    return (
        f"probabilities of shape {probabilities.shape}, {outside} of them outside of 0 to 1, "
        f"for outcomes of shape {positives.shape}",
        "one probability from 0 to 1 for every outcome",
        "calibrate the scores first",
    )
