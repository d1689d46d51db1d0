"""Log loss and calibration error of probabilities."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_contracts.errors import UsageError
from recsys.metrics.ranking import (
    Floats,
)


def log_loss(probabilities: npt.ArrayLike, positives: npt.ArrayLike) -> float:
    """Mean negative log-likelihood, in nats, of rows being positive.

    Args:
        probabilities: float [n_rows], clipped to what float64 can tell from 0 and 1.
        positives: bool [n_rows].

    Returns:
        The mean over rows; lower is better, NaN without rows.

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
    return float(-np.mean(np.where(y, np.log(p), np.log1p(-p))))


@dataclass(frozen=True)
class CalibrationBin:
    """Rows of similar predicted probability.

    Attributes:
        predicted: Mean predicted probability.
        observed: Share of rows that are positive.
        count: Number of rows.
    """

    predicted: float
    observed: float
    count: int


def calibration_bins(
    probabilities: npt.ArrayLike, positives: npt.ArrayLike, bins: int = 10
) -> list[CalibrationBin]:
    """Compare prediction and outcome in bins of about as many rows each.

    Bins of equal width would put nearly all rows of a rarely clicked slate into the first one.

    Args:
        probabilities: float [n_rows], in 0..1.
        positives: bool [n_rows].
        bins: Number of bins at the most; rows of equal probability share one.

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
    edges = np.unique(np.quantile(p, np.arange(1, bins) / bins))
    place = np.searchsorted(edges, p, side="right")
    count = np.bincount(place)
    predicted, observed = np.bincount(place, p), np.bincount(place, y)
    return [
        CalibrationBin(float(predicted[i] / count[i]), float(observed[i] / count[i]), int(count[i]))
        for i in np.flatnonzero(count)
    ]


def calibration_error(bins: list[CalibrationBin]) -> float:
    """Expected calibration error: |predicted - observed|, averaged over the rows of all bins.

    Naeini, Cooper and Hauskrecht (2015), with bins of equal count. NaN without bins.
    """
    rows = sum(each.count for each in bins)
    if not rows:
        return float("nan")
    return sum(each.count * abs(each.predicted - each.observed) for each in bins) / rows


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
