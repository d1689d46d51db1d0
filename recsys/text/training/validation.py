"""Validation of a text model: nDCG@10 of the interest match alone."""

from collections.abc import Sequence

import numpy as np

from recsys.labels.slates import LabelledSlates
from recsys.metrics.ranking import ndcg_at_k, rank_rows
from recsys.metrics.weights import weighted_mean
from recsys.text.head import InterestModel, table_of
from recsys.text.signals import TextSignals, match_rows
from recsys.text.training.text_source import FrozenVectors


def validation_ndcg(
    model: InterestModel,
    slates: LabelledSlates,
    vectors: FrozenVectors,
    gains: Sequence[float],
) -> float:
    """Give the mean nDCG@10, 0..1, over the requests with a positive and another candidate.

    Args:
        model: The head.
        slates: Requests with their grades; all of each history is read.
        vectors: Of all texts of the slates.
        gains: Gain of each grade.

    Returns:
        The mean; NaN when no request has both.
    """
    names = [str(code) for code in range(len(vectors.items))]
    newest = int(slates.history.lengths.max(initial=0))
    signals = TextSignals.of(table_of(model, vectors.items), names, newest)
    match = match_rows(signals, slates, vectors.queries)
    score = np.where(np.isnan(match), -np.inf, match)
    gain = np.asarray(gains)[slates.grade]
    ndcg = ndcg_at_k(rank_rows(slates.rows.offsets, score, gain))
    return weighted_mean(ndcg, slates.request_weight)
