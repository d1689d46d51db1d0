"""Fitting of the rankers, each with its calibration."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recsys.bundle.bundle import FULL, Scorer
from recsys.metrics.ranking import ndcg_at_k, rank_rows
from recsys.metrics.weights import weighted_mean
from recsys.ranker.calibration import fit_calibration
from recsys.ranker.ranker import TEXT_COLUMNS, fit_ranker
from recsys.training.rows import RankingRows
from recsys.workspace.config import WorkspaceConfig
from recsys.workspace.feature_sets import features_of


@dataclass(frozen=True)
class FittedScorer(Scorer):
    """A ranker with its calibration and its nDCG@10 on the validation period."""

    validation_ndcg: float


def fit_scorer(
    config: WorkspaceConfig, ranker: RankingRows, validation: RankingRows, part: str, seed: int
) -> FittedScorer:
    """Train a ranker, and calibrate it where slates were shown to people.

    Args:
        config: Settings of the workspace.
        ranker: Rows the ranker is trained on.
        validation: Later rows, for early stopping and calibration.
        part: `FULL` or `NO_TEXT`.
        seed: Seeds the ranker.

    Returns:
        The ranker with its calibration, None on sampled slates.
    """
    with_text = part == FULL
    names: Sequence[str] = features_of(config).names
    columns = [*names, *TEXT_COLUMNS] if with_text else names
    later = validation.for_ranker(with_text=with_text)
    fitted = fit_ranker(
        ranker.for_ranker(with_text=with_text),
        later,
        columns,
        config.labels.label_gain,
        config.ranker,
        seed,
        features_of(config).codes,
    )
    scores = fitted.score(later.matrix)
    gain = np.asarray(config.labels.label_gain)[later.grade]
    ranked = rank_rows(validation.slates.rows.offsets, scores, gain)
    logged = config.slate_source == "logged"
    calibration = (
        fit_calibration(scores, later.matrix, later.sizes, later.grade > 0, columns, later.weight)
        if logged
        else None
    )
    ndcg = weighted_mean(ndcg_at_k(ranked), validation.slates.request_weight)
    return FittedScorer(fitted, calibration, ndcg)
