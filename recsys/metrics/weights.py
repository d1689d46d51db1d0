"""Weights: how many showings requests stand for, and means over requests by them."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def request_weights(weights: Floats, offsets: npt.NDArray[np.int64]) -> Floats:
    """Give the mean weight of each request's rows, as LightGBM's metrics weigh a request.

    Args:
        weights: float64 [n_rows], showings each row stands for.
        offsets: int64 [n_requests + 1], where each request's rows begin; none is empty.

    Returns:
        float64 [n_requests], showings.
    """
    means: Floats = np.add.reduceat(weights, offsets[:-1]) / np.diff(offsets)
    return means


def weighted_mean(values: Floats, weights: Floats) -> float:
    """Give the mean over the requests that have a value.

    Args:
        values: float64 [n_requests], NaN where a request has none.
        weights: float64 [n_requests], showings each request stands for.

    Returns:
        The mean; NaN when no request has a value.
    """
    missing = np.isnan(values)
    total = np.where(missing, 0, weights).sum()
    return float(np.where(missing, 0, values * weights).sum() / total) if total else float("nan")
