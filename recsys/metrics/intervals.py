"""Bootstrap intervals of means over requests, resampled by user."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator

from data_contracts.errors import UsageError

Floats = npt.NDArray[np.float64]

# Resamples of about 32 MB are held at a time.
_CELLS_AT_ONCE = 4_000_000

# NaN has no JSON: it is written as null, and read back from it.
_Number = Annotated[float, BeforeValidator(lambda value: float("nan") if value is None else value)]


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval.

    Attributes:
        mean: Mean over requests, by what they stand for; NaN when none has a value.
        low: Lower end of the interval; NaN when there is none.
        high: Upper end of the interval; NaN when there is none.
        n_requests: Requests that have a value.
        n_clusters: Users they come from. An interval from fewer than about 30 is too narrow.
    """

    mean: _Number
    low: _Number
    high: _Number
    n_requests: int
    n_clusters: int


def bootstrap_means(
    values: Floats,
    clusters: npt.ArrayLike,
    *,
    weights: Floats | None = None,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> list[Estimate]:
    """Give mean and percentile interval of each column, resampling whole users with replacement.

    All columns share the same resamples, so many columns cost little more than one. A resample that
    holds no value of a column is left out for that column. With weights, the mean of a resample is
    the ratio of its weighted values to its weights.

    Args:
        values: float64 [n_requests, n_columns], NaN where a request has no value.
        clusters: [n_requests], the user of each request, of any sortable type; give each guest
            request its own.
        weights: float64 [n_requests], showings each request stands for; one each when absent.
        level: Share of the resampled means inside the interval.
        resamples: Number of resamples.
        seed: Fixes the resamples.

    Returns:
        One estimate per column.

    Raises:
        UsageError: The shapes do not fit, or `level` or `resamples` is out of range.
    """
    users, user_of = np.unique(np.asarray(clusters), return_inverse=True)
    if values.ndim != 2 or user_of.shape != (len(values),) or not 0 < level < 1 or resamples < 1:
        raise UsageError(
            f"values of shape {values.shape}, clusters of shape {user_of.shape}, "
            f"level {level}, {resamples} resamples",
            "values [n_requests, n_columns], clusters [n_requests], 0 < level < 1, resamples >= 1",
            "correct the call",
        )
    present = ~np.isnan(values)
    showings = present * (np.ones(len(values)) if weights is None else weights)[:, None]
    sums = _by_user(np.where(present, values, 0.0) * showings, user_of, len(users))
    sizes = _by_user(showings, user_of, len(users))
    means = _resampled_means(sums, sizes, resamples, seed)
    tail, requests = (1 - level) / 2, present.sum(axis=0)
    return [
        _estimate(sums[:, column], sizes[:, column], int(requests[column]), means[:, column], tail)
        for column in range(values.shape[1])
    ]


def _by_user(values: Floats, user_of: npt.NDArray[np.intp], n_users: int) -> Floats:
    columns = [np.bincount(user_of, column, minlength=n_users) for column in values.T]
    return np.stack(columns, axis=1) if columns else np.zeros((n_users, 0))


def _resampled_means(sums: Floats, sizes: Floats, resamples: int, seed: int) -> Floats:
    """Give the mean of each column in each resample, float64 [resamples, n_columns]."""
    rng = np.random.default_rng(seed)
    n_users = len(sums)
    at_once = max(1, _CELLS_AT_ONCE // max(n_users, 1))
    means = np.full((resamples, sums.shape[1]), np.nan)
    for start in range(0, resamples if n_users else 0, at_once):
        part = min(at_once, resamples - start)
        drawn = rng.integers(0, n_users, (part, n_users)) + np.arange(part)[:, None] * n_users
        times = np.bincount(drawn.ravel(), minlength=part * n_users).reshape(part, n_users)
        times = times.astype(np.float64)
        size = times @ sizes
        np.divide(times @ sums, size, out=means[start : start + part], where=size > 0)
    return means


def _estimate(sums: Floats, sizes: Floats, requests: int, means: Floats, tail: float) -> Estimate:
    if not requests:
        return Estimate(float("nan"), float("nan"), float("nan"), 0, 0)
    low, high = np.nanquantile(means, [tail, 1 - tail])
    mean, users = float(sums.sum() / sizes.sum()), int((sizes > 0).sum())
    return Estimate(mean, float(low), float(high), requests, users)
