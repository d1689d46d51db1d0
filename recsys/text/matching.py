"""The interest match of many requests at once, and how well it ranks them alone."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from data_contracts.progress import Track, silent
from features.history import History
from recsys.dataset import LabelledSlates
from recsys.metrics import ndcg_at_k, rank_rows
from recsys.text.attribution import Score
from recsys.text.head import InterestModel, head_of, table_of
from recsys.text.interest import InterestTable, ages
from recsys.text.sampling import FrozenVectors


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


def match_of_vector(
    table: InterestTable, item: int, history: History, time: int, query: np.ndarray | None
) -> Score:
    """Give the match of one candidate as a function of its text vector.

    Args:
        table: The catalogue in the space of matches.
        item: Place of the candidate, whose own copies in the history are left out; negative for an
            unknown item.
        history: Of the request's user, [1, k].
        time: UTC microseconds of the request.
        query: Text vector of the query, float32 [dim]; None without one.

    Returns:
        What `InterestTable.match` gives, from vectors float32 [b, dim] that gradients pass through.
    """
    head = head_of(table)
    usable = (history.item[0] >= 0) & table.known[history.item[0]]
    past = history.item[0][usable]
    kind = torch.from_numpy(history.kind[0][usable].astype(np.int64))
    age = torch.from_numpy(ages(history, np.array([time]))[0][usable])
    vectors, others = torch.from_numpy(table.past[past]), torch.from_numpy(past != item)
    logits = torch.from_numpy(table.logits[past]) + head.circumstances(kind, age)
    wish = torch.zeros(head.space)
    if query is not None:
        wish = head.query_scale * torch.from_numpy(table.project("query", query))

    def score(text: Tensor) -> Tensor:
        z = head.tower(head.item, text.cpu())
        similarity = z @ vectors.T
        pooled = head.pool(similarity, logits[None], others[None].expand_as(similarity))
        return pooled + z @ (head.default + wish)

    return score


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
