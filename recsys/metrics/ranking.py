"""Ranking metrics: one value per request, over rows laid out request after request.

The rows of request `i` are `offsets[i]:offsets[i + 1]` of every flat array. A metric gives one
float64 per request, and NaN where there is nothing to order: no row is positive, or every row is.
All orders are equally good then, and to count them as won would lift chance as much as a model.
Means and intervals come second (`recsys.metrics.intervals`).

Rows of equal score are ordered by a hash, never in the order they were given: the
given order is often the logged one, and a scorer that says nothing must look like chance.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from data_contracts.errors import UsageError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NDCG_AT_10 = "nDCG@10"
MRR = "MRR"
AUC = "AUC"
MAP = "MAP"
RECALL_AT_10 = "recall@10"


@dataclass(frozen=True)
class RankedRows:
    """Rows in ranked order, best first within each request; made by `rank_rows`.

    Attributes:
        offsets: int64 [n_requests + 1], where each request's rows begin and end.
        scores: float64 [n_rows], not increasing within a request.
        gains: float64 [n_rows], gain of the grade; 0 is irrelevant, above 0 is positive.
    """

    offsets: Ints
    scores: Floats
    gains: Floats

    @property
    def n_requests(self) -> int:
        """Number of requests, those without rows included."""
        return len(self.offsets) - 1

    @cached_property
    def judged(self) -> npt.NDArray[np.bool_]:
        """Whether a request has a positive row and another; else no metric has a value for it."""
        positives = _sum(self, self.gains > 0)
        return (positives > 0) & (positives < np.diff(self.offsets))

    @property
    def requests(self) -> Ints:
        """Number of its request for each row, int64 [n_rows]."""
        return np.repeat(np.arange(self.n_requests), np.diff(self.offsets))

    @property
    def ranks(self) -> Ints:
        """Rank of each row within its request, from 1, int64 [n_rows]."""
        starts = np.repeat(self.offsets[:-1], np.diff(self.offsets))
        return np.arange(len(self.gains)) - starts + 1


def rank_rows(
    offsets: npt.ArrayLike,
    scores: npt.ArrayLike,
    gains: npt.ArrayLike,
    *,
    tie_keys: npt.NDArray[np.uint64] | None = None,
    seed: int = 0,
) -> RankedRows:
    """Order the rows of each request by score, highest first, ties by a hash.

    Args:
        offsets: int64 [n_requests + 1], from 0 to n_rows, not decreasing.
        scores: float [n_rows], higher is better; infinite values are allowed.
        gains: float [n_rows], at least 0.
        tie_keys: uint64 [n_rows], something that names a row wherever it stands, such as a hash of
            request and item: the order then does not depend on how rows were laid out. The row's
            place is hashed when absent: as fair, and the same for every model of one layout.
        seed: Chooses the hash.

    Returns:
        The rows in ranked order.

    Raises:
        UsageError: The arrays do not belong together, or hold NaN or a negative gain.
    """
    bounds = np.asarray(offsets, dtype=np.int64)
    score = np.asarray(scores, dtype=np.float64)
    gain = np.asarray(gains, dtype=np.float64)
    places = np.arange(len(score), dtype=np.uint64)
    keys = places if tie_keys is None else np.asarray(tie_keys, dtype=np.uint64)
    if fault := _rows_fault(bounds, score, gain, keys):
        raise UsageError(*fault)
    order = _descending(bounds, score, _hash(keys, seed))
    return RankedRows(bounds, score[order], gain[order])


def ndcg_at_k(ranked: RankedRows, k: int = 10) -> Floats:
    """Normalised discounted cumulative gain of the first `k` rows.

    Järvelin and Kekäläinen (2002), with the discount 1 / log2(1 + rank) and gains as they are.
    """
    ideal = _descending(ranked.offsets, ranked.gains, np.zeros(len(ranked.gains), np.uint64))
    ranks = ranked.ranks
    discount = np.where(ranks <= k, 1 / np.log2(1 + ranks), 0.0)
    best = _sum(ranked, ranked.gains[ideal] * discount)
    return _ratio(ranked, _sum(ranked, ranked.gains * discount), best)


def mrr(ranked: RankedRows) -> Floats:
    """Reciprocal rank of the first positive row, at any depth."""
    found = np.flatnonzero(ranked.gains > 0)
    requests, first = np.unique(ranked.requests[found], return_index=True)
    best = np.ones(ranked.n_requests)
    best[requests] = ranked.ranks[found[first]]
    return _ratio(ranked, np.ones(ranked.n_requests), best)


def average_precision(ranked: RankedRows) -> Floats:
    """Precision at the rank of each positive row, averaged over them; its mean is MAP."""
    positive = ranked.gains > 0
    before = np.concatenate(([0], np.cumsum(positive)))
    found = before[1:] - before[ranked.offsets[:-1]][ranked.requests]
    precision = _sum(ranked, np.where(positive, found / ranked.ranks, 0.0))
    return _ratio(ranked, precision, _sum(ranked, positive))


def recall_at_k(ranked: RankedRows, k: int = 10) -> Floats:
    """Share of the request's positive rows that stand among the first `k`."""
    positive = ranked.gains > 0
    return _ratio(ranked, _sum(ranked, positive & (ranked.ranks <= k)), _sum(ranked, positive))


def auc(ranked: RankedRows) -> Floats:
    """Probability that a positive row scores above another row of its request; ties count half."""
    requests = ranked.requests
    positive = (ranked.gains > 0).astype(np.float64)
    starts = np.ones(len(requests), dtype=bool)
    starts[1:] = (requests[1:] != requests[:-1]) | (ranked.scores[1:] != ranked.scores[:-1])
    tie = np.cumsum(starts) - 1
    tied_positive = np.bincount(tie, positive)
    tied_other = np.bincount(tie, 1 - positive)
    positives, others = _sum(ranked, positive), _sum(ranked, 1 - positive)
    request_of_tie = requests[starts]
    above = np.cumsum(tied_other) - np.concatenate(([0], np.cumsum(others)))[request_of_tie]
    below = others[request_of_tie] - above
    won = _per_group(request_of_tie, tied_positive * (below + tied_other / 2), ranked.n_requests)
    return _ratio(ranked, won, positives * others)


def _descending(offsets: Ints, values: Floats, ties: npt.NDArray[np.uint64]) -> Ints:
    """Give the rows' order, int64 [n_rows]: highest value first within each request, then ties.

    Requests of one length are sorted as a matrix, which is ten times as fast as one sort of all
    rows by request and value.
    """
    sizes = np.diff(offsets)
    order = np.empty(len(values), dtype=np.int64)
    for size in np.unique(sizes):
        rows = offsets[:-1][sizes == size][:, None] + np.arange(size)
        by_tie = np.take_along_axis(rows, np.argsort(ties[rows], axis=1), axis=1)
        by_value = np.argsort(-values[by_tie], axis=1, kind="stable")
        order[rows] = np.take_along_axis(by_tie, by_value, axis=1)
    return order


def _hash(keys: npt.NDArray[np.uint64], seed: int) -> npt.NDArray[np.uint64]:
    """Scramble each key (the SplitMix64 finaliser), so that neighbouring keys say nothing."""
    mixed = keys + np.uint64(((seed + 1) * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _sum(ranked: RankedRows, values: Floats | npt.NDArray[np.bool_]) -> Floats:
    return _per_group(ranked.requests, values, ranked.n_requests)


def _per_group(groups: Ints, values: Floats | npt.NDArray[np.bool_], n_groups: int) -> Floats:
    return np.bincount(groups, values, minlength=n_groups).astype(np.float64, copy=False)


def _ratio(ranked: RankedRows, over: Floats, under: Floats) -> Floats:
    missing = np.full(len(under), np.nan)
    ratio: Floats = np.divide(over, under, out=missing, where=ranked.judged)
    return ratio


def _rows_fault(
    offsets: Ints, scores: Floats, gains: Floats, keys: npt.NDArray[np.uint64]
) -> tuple[str, str, str] | None:
    lengths = (len(scores), len(gains), len(keys))
    if (
        offsets.ndim != 1
        or not len(offsets)
        or offsets[0] != 0
        or (np.diff(offsets) < 0).any()
        or any(length != offsets[-1] for length in lengths)
    ):
        return (
            f"offsets of shape {offsets.shape}, and {lengths} scores, gains and tie keys",
            "offsets from 0 to the number of rows, not decreasing, and one value for every row",
            "lay the rows out request after request",
        )
    if np.isnan(scores).any() or not (gains >= 0).all():
        return (
            f"{int(np.isnan(scores).sum())} scores that are no number and "
            f"{int((~(gains >= 0)).sum())} gains that are not at least 0",
            "a score and a gain for every row",
            "give rows that cannot be scored the lowest score, -inf",
        )
    return None
