"""The interest match of many requests at once, and how well it ranks them alone."""

from collections.abc import Sequence

import numpy as np

from data_contracts.progress import Track, silent
from recsys.labels.slates import LabelledSlates
from recsys.metrics.ranking import ndcg_at_k, rank_rows
from recsys.text.head import InterestModel, table_of
from recsys.text.interest import InterestTable
from recsys.text.training.text_source import FrozenVectors


def match_rows(
    table: InterestTable,
    slates: LabelledSlates,
    query_vectors: np.ndarray,
    track: Track = silent,
) -> np.ndarray:
    """Score every row of some requests.

    Args:
        table: The catalogue in the space of matches.
        slates: The requests; their grades are not looked at.
        query_vectors: float32 [n_queries, dim].
        track: Shows progress.

    Returns:
        Interest match, float32 [n_rows]; NaN for items without text.
    """
    rows = slates.rows
    match = np.empty(len(rows), np.float32)
    for request in track(range(len(slates)), "Matching texts", len(slates)):
        span = slice(int(rows.offsets[request]), int(rows.offsets[request + 1]))
        item = rows.item[span]
        asked = slates.query[request]
        match[span] = table.match(
            table.candidates(item),
            item,
            slates.history.take(np.array([request])),
            int(rows.request_time[request]),
            query_vectors[asked] if asked >= 0 else None,
        )
    return match


def validation_ndcg(
    model: InterestModel,
    slates: LabelledSlates,
    vectors: FrozenVectors,
    gains: Sequence[float],
) -> float:
    """Give the mean nDCG@10 of the match alone over requests with a positive."""
    match = match_rows(table_of(model, vectors.items), slates, vectors.queries)
    score = np.where(np.isnan(match), -np.inf, match)
    gain = np.asarray(gains)[slates.grade]
    return float(np.nanmean(ndcg_at_k(rank_rows(slates.rows.offsets, score, gain))))
