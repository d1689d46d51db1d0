"""Calibration: a ranker's score to a probability, by isotonic regression."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

_KNOTS = 100


@dataclass(frozen=True)
class Calibration:
    """A piecewise linear, non-decreasing function of the score; constant beyond its ends.

    Attributes:
        scores: float64 [n_points], ascending.
        probabilities: float64 [n_points], not falling, in 0..1.
    """

    scores: np.ndarray
    probabilities: np.ndarray

    def probability(self, scores: np.ndarray) -> np.ndarray:
        """Give the probability of a positive grade of each score, float64 [n]."""
        return np.interp(scores, self.scores, self.probabilities)


def fit_calibration(scores: np.ndarray, positive: np.ndarray) -> Calibration:
    """Fit an isotonic regression on rows the ranker was not grown on, by bins of equal count.

    Each bin counts one event of both kinds more than it has, so that no probability is 0 or 1.

    Args:
        scores: float64 [n_rows].
        positive: bool [n_rows].

    Returns:
        The calibration, of at most 100 points.
    """
    order = np.argsort(scores, kind="stable")
    bins = np.array_split(order, min(_KNOTS, len(order)))
    middle = np.array([scores[rows].mean() for rows in bins])
    share = np.array([(positive[rows].sum() + 1) / (len(rows) + 2) for rows in bins])
    weight = np.array([len(rows) for rows in bins], np.float64)
    return Calibration(middle, np.asarray(isotonic_regression(share, weights=weight).x))
