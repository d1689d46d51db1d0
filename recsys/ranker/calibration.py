"""Calibration: a ranker's score, and the slate it was given in, to a probability.

A ranker learns the order within a slate; its score says little of how one slate compares with
another. So the probability begins as an isotonic regression of the score, and trees boosted from
it look at what the slate's candidates have in common.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import lightgbm as lgb
import numpy as np
from scipy.optimize import isotonic_regression
from scipy.special import expit, logit

from features.arrays.compiled import compiled
from recsys.metrics.calibration import log_loss
from recsys.ranker.ranker import Ranker, quoted

_MOST_BINS = 100
_EVENTS_A_BIN = 10
"""Showings of positives, or of negatives where those are fewer, that an average bin holds."""


_OF_THE_SLATE = ("score", "slate_mean", "slate_spread", "slate_best", "slate_log_size")
_TREES = {
    "objective": "binary",
    "num_leaves": 4,
    "learning_rate": 0.1,
    "min_data_in_leaf": 500,
    "lambda_l2": 5.0,
    "deterministic": True,
    "force_col_wise": True,
    "verbosity": -1,
}
_MOST_TREES = 60
_PATIENCE = 15
_ROUNDING = 1e-9


@dataclass(frozen=True)
class ScoreCurve:
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


@dataclass(frozen=True)
class Calibration:
    """A ranker's score to the probability of a positive grade, slate by slate.

    Attributes:
        curve: What the score alone says.
        trees: What the slate adds to its log odds, over `slate_columns`, rising with the score;
            None where later requests were told no better with them.
    """

    curve: ScoreCurve
    trees: Ranker | None

    def probability(self, scores: np.ndarray, matrix: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        """Give the probability of a positive grade of each candidate.

        Args:
            scores: The ranker's, float64 [n_rows], slate by slate.
            matrix: What the ranker scored, float32 [n_rows, n_features].
            sizes: Candidates per slate, int64 [n_slates].

        Returns:
            float64 [n_rows] between 0 and 1; within a slate never falling with the score.
        """
        told = self.curve.probability(scores)
        if self.trees is None:
            return told
        return expit(logit(told) + self.trees.score(slate_columns(scores, matrix, sizes)))


def slate_columns(scores: np.ndarray, matrix: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Describe each candidate by its score, and by what all candidates of its slate have.

    Args:
        scores: The ranker's, float64 [n_rows], slate by slate.
        matrix: What the ranker scored, float32 [n_rows, n_features].
        sizes: Candidates per slate, int64 [n_slates], none of them 0.

    Returns:
        float32 [n_rows, 5 + n_features]: the score; mean, standard deviation and maximum of the
        slate's scores; logarithm of its size; the slate's mean of each feature over candidates
        that have it, NaN when none has.
    """
    columns = np.empty((len(scores), len(_OF_THE_SLATE) + matrix.shape[1]), np.float32)
    _describe(scores, np.ascontiguousarray(matrix, np.float32), sizes, columns)
    return columns


@compiled
def _describe(
    scores: np.ndarray, matrix: np.ndarray, sizes: np.ndarray, columns: np.ndarray
) -> None:
    """Fill `slate_columns` in, slate by slate."""
    width = matrix.shape[1]
    sums, counts = np.empty(width), np.empty(width, np.int64)
    low = 0
    for size in sizes:
        rows = slice(low, low + size)
        mean = scores[rows].sum() / size
        sums[:], counts[:] = 0, 0
        square = 0.0
        for row in range(low, low + size):
            square += (scores[row] - mean) ** 2
            for place in range(width):
                value = matrix[row, place]
                if not np.isnan(value):
                    sums[place] += value
                    counts[place] += 1
        columns[rows, 0] = scores[rows]
        columns[rows, 1], columns[rows, 2] = mean, np.sqrt(square / size)
        columns[rows, 3], columns[rows, 4] = scores[rows].max(), np.log(size)
        # Nought by nought is NaN: no candidate has the feature.
        columns[rows, 5:] = sums / counts
        low += size


def fit_calibration(
    scores: np.ndarray,
    matrix: np.ndarray,
    sizes: np.ndarray,
    positive: np.ndarray,
    names: Sequence[str],
    weight: np.ndarray | None = None,
) -> Calibration:
    """Fit on slates later than all those the ranker was grown on.

    The number of trees is what serves the last third of the slates best after the first two; none
    when the score alone does. All slates then grow as many.

    Args:
        scores: The ranker's, float64 [n_rows], slate by slate in order of time.
        matrix: What the ranker scored, float32 [n_rows, n_features].
        sizes: Candidates per slate, int64 [n_slates].
        positive: bool [n_rows].
        names: Columns of the matrix.
        weight: float64 [n_rows], showings each row stands for; one each when absent.

    Returns:
        The calibration.
    """
    curve = fit_curve(scores, positive, weight)
    start = logit(curve.probability(scores))
    columns = slate_columns(scores, matrix, sizes)
    parameters = {**_TREES, "monotone_constraints": [1] + [0] * (columns.shape[1] - 1)}
    names = (*_OF_THE_SLATE, *(f"slate_mean_{name}" for name in names))
    cut = int(sizes[: 2 * len(sizes) // 3].sum())
    rows = _Rows(columns, positive, start, weight)
    count = _best_count(parameters, rows, cut) if cut else 0
    if not count:
        return Calibration(curve, None)
    booster = lgb.train(parameters, rows.dataset(quoted(names)), count)
    return Calibration(curve, Ranker(booster, names))


@dataclass(frozen=True)
class _Rows:
    """What the trees are grown on; `start` is log odds, and a row of no weight stands for one."""

    columns: np.ndarray
    positive: np.ndarray
    start: np.ndarray
    weight: np.ndarray | None

    def part(self, rows: slice) -> "_Rows":
        weight = None if self.weight is None else self.weight[rows]
        return _Rows(self.columns[rows], self.positive[rows], self.start[rows], weight)

    def dataset(self, names: list[str] | Literal["auto"] = "auto") -> lgb.Dataset:
        return lgb.Dataset(
            self.columns,
            self.positive,
            weight=self.weight,
            init_score=self.start,
            feature_name=names,
        )


def _best_count(parameters: dict[str, object], rows: _Rows, cut: int) -> int:
    """Count the trees grown on the rows before the cut that tell those after it best."""
    early, late = rows.part(slice(cut)).dataset(), rows.part(slice(cut, None))
    booster = lgb.train(
        parameters,
        early,
        _MOST_TREES,
        valid_sets=[late.dataset().set_reference(early)],
        callbacks=[lgb.early_stopping(_PATIENCE, verbose=False)],
    )
    without = log_loss(expit(late.start), late.positive, late.weight)
    best = booster.best_score["valid_0"]["binary_logloss"]
    # Trees that find no split say the same but for the order in which threads add losses up.
    return booster.best_iteration if best < without * (1 - _ROUNDING) else 0


def fit_curve(
    scores: np.ndarray, positive: np.ndarray, weight: np.ndarray | None = None
) -> ScoreCurve:
    """Fit an isotonic regression on rows the ranker was not grown on.

    Rows of equal score count as one: they share a bin, and bins of about equal size follow one
    another. Each bin is drawn to the base rate by the weight of one showing of an average bin, so
    that no probability is 0 or 1. All rows of a bin get its probability, which keeps their mean at
    the base rate; between two bins it rises in a line.

    Args:
        scores: float64 [n_rows].
        positive: bool [n_rows].
        weight: float64 [n_rows], showings each row stands for; one each when absent.

    Returns:
        The curve, of at most 200 points.
    """
    showings = np.ones(len(positive)) if weight is None else weight
    count, hits = showings.sum(), showings[positive].sum()
    bins = int(np.clip(min(hits, count - hits) // _EVENTS_A_BIN, 1, _MOST_BINS))
    values, inverse = np.unique(scores, return_inverse=True)
    shown = np.bincount(inverse, showings)
    # A value is in the bin of the middle of its showings.
    bin_of = ((np.cumsum(shown) - shown / 2) * bins / count).astype(np.int64)
    first = np.flatnonzero(np.diff(bin_of, prepend=-1))
    shown_of = np.add.reduceat(shown, first)
    hits_of = np.add.reduceat(np.bincount(inverse, showings * positive), first)
    rising = np.asarray(isotonic_regression(hits_of / shown_of, weights=shown_of).x)
    # The Jeffreys estimate is neither 0 nor 1 where all rows are of one kind.
    base, weight = (hits + 1 / 2) / (count + 1), bins / (count + bins)
    last = np.append(first[1:], len(values)) - 1
    return ScoreCurve(
        np.column_stack([values[first], values[last]]).ravel(),
        np.repeat((1 - weight) * rising + weight * base, 2),
    )
