"""Calibration: a ranker's score to a probability, by isotonic regression."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

_MOST_BINS = 100
_EVENTS_A_BIN = 10
"""Positives, or negatives where those are fewer, that a bin holds on average at the least."""


@dataclass(frozen=True)
class Calibration:
    """A piecewise linear, non-decreasing function of the score; constant beyond its ends.

    Attributes:
        scores: float64 [n_points], ascending.
        probabilities: float64 [n_points], not falling, between 0 and 1 and neither of them.
    """

    scores: np.ndarray
    probabilities: np.ndarray

    def probability(self, scores: np.ndarray) -> np.ndarray:
        """Give the probability of a positive grade of each score, float64 [n]."""
        return np.interp(scores, self.scores, self.probabilities)


def fit_calibration(scores: np.ndarray, positive: np.ndarray) -> Calibration:
    """Fit an isotonic regression on rows the ranker was not grown on.

    Rows of equal score count as one: they share a bin, and bins of about equal size follow one
    another. Each bin is drawn to the base rate by the weight of one row of an average bin, so that
    no probability is 0 or 1. All rows of a bin get its probability, which keeps their mean at the
    base rate; between two bins it rises in a line.

    Args:
        scores: float64 [n_rows].
        positive: bool [n_rows].

    Returns:
        The calibration, of at most 200 points.
    """
    count, hits = len(positive), int(positive.sum())
    bins = int(np.clip(min(hits, count - hits) // _EVENTS_A_BIN, 1, _MOST_BINS))
    values, inverse = np.unique(scores, return_inverse=True)
    rows = np.bincount(inverse)
    # A value is in the bin of the middle of its rows.
    bin_of = ((np.cumsum(rows) - rows / 2) * bins / count).astype(np.int64)
    first = np.flatnonzero(np.diff(bin_of, prepend=-1))
    rows_of = np.add.reduceat(rows, first)
    hits_of = np.add.reduceat(np.bincount(inverse, weights=positive), first)
    rising = np.asarray(isotonic_regression(hits_of / rows_of, weights=rows_of).x)
    # The Jeffreys estimate is neither 0 nor 1 where all rows are of one kind.
    base, weight = (hits + 1 / 2) / (count + 1), bins / (count + bins)
    last = np.append(first[1:], len(values)) - 1
    return Calibration(
        np.column_stack([values[first], values[last]]).ravel(),
        np.repeat((1 - weight) * rising + weight * base, 2),
    )
