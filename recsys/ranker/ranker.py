"""The ranker: LightGBM lambdarank over behavioural features and interest match."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote, unquote

import lightgbm as lgb
import numpy as np

from data_contracts.errors import BundleError
from features.kinds.slate import slate_percentile
from recsys.metrics.ranking import NDCG_AT_10, ndcg_at_k, rank_rows
from recsys.metrics.weights import request_weights, weighted_mean
from recsys.ranker.forest import Forest
from recsys.ranker.settings import RankerSettings
from recsys.text.signals import INTEREST_MATCH

TEXT_COLUMNS = (INTEREST_MATCH, f"slate_percentile_{INTEREST_MATCH}")


def text_columns(match: np.ndarray, request: np.ndarray) -> np.ndarray:
    """Give the ranker's text columns: the interest match, and its percentile within the slate.

    Args:
        match: float32 [n_rows]; NaN for items without text.
        request: Request of each row, int64 [n_rows], ascending.

    Returns:
        float32 [n_rows, n_columns] in the order of `TEXT_COLUMNS`.
    """
    percentile = slate_percentile(match.astype(np.float64), request)
    return np.column_stack([match, percentile]).astype(np.float32)


@dataclass(frozen=True)
class RankerRows:
    """Rows with their outcome, request by request.

    Attributes:
        matrix: float32 [n_rows, n_features].
        grade: uint8 [n_rows].
        sizes: Rows per request, int64 [n_requests].
        position: int64 [n_rows], from 1.
        weight: float64 [n_rows], showings each row stands for; None where each stands for one.
    """

    matrix: np.ndarray
    grade: np.ndarray
    sizes: np.ndarray
    position: np.ndarray
    weight: np.ndarray | None = None


@dataclass(frozen=True)
class Ranker:
    """A trained ranker.

    Attributes:
        booster: LightGBM's model.
        names: Columns of the matrix, in order.
    """

    booster: lgb.Booster
    names: tuple[str, ...]

    @cached_property
    def forest(self) -> Forest | None:
        """The trees in a form that scores quicker; None when they do not fit it."""
        return Forest.of(self.booster)

    def score(self, matrix: np.ndarray) -> np.ndarray:
        """Score rows of one or many slates.

        Args:
            matrix: float32 [n_rows, n_features]; NaN where a value is missing.

        Returns:
            float64 [n_rows], higher is better, comparable within a slate.
        """
        if self.forest is not None:
            return self.forest.score(matrix)
        return np.asarray(self.booster.predict(matrix, num_threads=1 if len(matrix) < 5000 else 0))

    def contributions(self, matrix: np.ndarray) -> np.ndarray:
        """Share each score out among the columns by TreeSHAP.

        Args:
            matrix: float32 [n_rows, n_features].

        Returns:
            float64 [n_rows, n_features + 1]; the last column is the expected score, and the sum
            over a row is its score.
        """
        return np.asarray(self.booster.predict(matrix, pred_contrib=True, num_threads=1))

    def save(self, path: Path) -> None:
        """Write the model as LightGBM's text."""
        self.booster.save_model(path)

    @classmethod
    def load(cls, path: Path) -> "Ranker":
        """Read a model that `save` wrote.

        Args:
            path: The file.

        Returns:
            The ranker.

        Raises:
            BundleError: The file is no LightGBM model.
        """
        try:
            booster = lgb.Booster(model_file=path)
        except lgb.basic.LightGBMError as error:
            raise BundleError(
                f"{path}: {error}", "a LightGBM model", "copy the bundle again, or train it anew"
            ) from error
        return cls(booster, tuple(map(unquote, booster.feature_name())))


def quoted(names: Sequence[str]) -> list[str]:
    """Write names of columns so that LightGBM keeps any of them; `Ranker.load` reads them back."""
    return [quote(name, safe="") for name in names]


def fit_ranker(
    train: RankerRows,
    validation: RankerRows,
    names: Sequence[str],
    label_gain: Sequence[float],
    settings: RankerSettings,
    seed: int = 0,
    codes: Sequence[str] = (),
) -> Ranker:
    """Train with lambdarank until the validation nDCG@10 no longer rises.

    The metric is ours, not LightGBM's: that one leaves equal scores in the order of the rows, which
    is the logged order, so that the first tree, with its many ties, profits from the position bias
    of the log and training stops there.

    A weight multiplies the gradients of its row, so that a request of weight k pulls as k copies of
    it would. What LightGBM counts stays rows: `min_data_in_leaf`, and where bins begin.

    Args:
        train: Rows the trees are grown on.
        validation: Later rows that decide when to stop.
        names: Columns of the matrices.
        label_gain: Gain of each grade.
        settings: LightGBM's parameters; `position_bias` turns unbiased lambdarank on.
        seed: Seeds the sampling of rows and columns.
        codes: Columns whose values are codes without order.

    Returns:
        The ranker, cut at its best iteration.
    """
    parameters = {
        "objective": "lambdarank",
        "metric": "None",
        "label_gain": list(label_gain),
        "bagging_freq": 1,
        "seed": seed,
        "deterministic": True,
        "force_col_wise": True,
        "verbosity": -1,
        **settings.model_dump(exclude={"position_bias", "num_iterations", "early_stopping_round"}),
    }
    position = train.position if settings.position_bias else None
    grown_on = lgb.Dataset(
        train.matrix,
        train.grade,
        weight=train.weight,
        group=train.sizes,
        feature_name=quoted(names),
        categorical_feature=quoted(codes),
        position=position,
    )
    stops_on = lgb.Dataset(
        validation.matrix, validation.grade, group=validation.sizes, reference=grown_on
    )
    offsets = np.append(0, np.cumsum(validation.sizes))
    gain = np.asarray(label_gain, np.float64)[validation.grade]
    weight = np.ones(len(gain)) if validation.weight is None else validation.weight
    showings = request_weights(weight, offsets)

    def mean_ndcg(scores: np.ndarray, _: lgb.Dataset) -> tuple[str, float, bool]:
        ndcg = ndcg_at_k(rank_rows(offsets, scores, gain))
        return NDCG_AT_10, weighted_mean(ndcg, showings), True

    booster = lgb.train(
        parameters,
        grown_on,
        num_boost_round=settings.num_iterations,
        valid_sets=[stops_on],
        feval=mean_ndcg,
        callbacks=[lgb.early_stopping(settings.early_stopping_round, verbose=False)],
    )
    best = lgb.Booster(model_str=booster.model_to_string(num_iteration=booster.best_iteration))
    return Ranker(best, tuple(names))
