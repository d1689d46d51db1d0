"""Slices of the test: what each holds, metrics per request, their means, and the gain from text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from recsys.evaluation.result import (
    ALL,
    BEHAVIOUR_ONLY,
    TEXT_AND_BEHAVIOUR,
    Difference,
    SliceSize,
    SliceValue,
)
from recsys.metrics.intervals import Estimate, bootstrap_means
from recsys.metrics.ranking import (
    AUC,
    MAP,
    MRR,
    NDCG_AT_10,
    RECALL_AT_10,
    auc,
    average_precision,
    mrr,
    ndcg_at_k,
    rank_rows,
    recall_at_k,
)
from recsys.training.rows import RankingRows

_METRICS = (
    (NDCG_AT_10, ndcg_at_k),
    (MRR, mrr),
    (AUC, auc),
    (MAP, average_precision),
    (RECALL_AT_10, recall_at_k),
)


WIDE, NARROW = 0.95, 0.01
"""Shares beyond which a slice says nothing of its own."""


class MetricKey(NamedTuple):
    """Name of one metric of one model on one slice."""

    slice: str
    model: str
    metric: str


@dataclass(frozen=True)
class Slice:
    """Some rows of the test, as requests of their own.

    Attributes:
        name: Name in the report.
        rows: Places of the rows, ascending.
        offsets: int64 [n_requests + 1]; a request may have no row here.
    """

    name: str
    rows: np.ndarray
    offsets: np.ndarray


def slice_of(name: str, rows: RankingRows, kept: np.ndarray) -> Slice:
    """Keep some rows of the test, bool [n_rows]."""
    sizes = np.bincount(
        rows.slates.rows.request[kept], minlength=len(rows.slates.rows.request_time)
    )
    return Slice(name, np.flatnonzero(kept), np.append(0, np.cumsum(sizes)))


def values_of(
    rows: RankingRows, part: Slice, score: np.ndarray, label_gain: Sequence[float]
) -> dict[str, np.ndarray]:
    """Give each metric of each request, float64 [n_requests]; NaN where it is not defined."""
    filled = np.flatnonzero(np.diff(part.offsets))
    offsets = np.append(part.offsets[filled], part.offsets[-1])
    gain = _gains(rows, part, label_gain)
    ranked = rank_rows(offsets, score[part.rows], gain, tie_keys=part.rows.astype(np.uint64))
    values = {}
    for name, metric in _METRICS:
        values[name] = np.full(len(part.offsets) - 1, np.nan)
        values[name][filled] = metric(ranked)
    return values


def sizes_of(
    rows: RankingRows, slices: Sequence[Slice], label_gain: Sequence[float]
) -> list[SliceSize]:
    """Count what each slice holds of the test, and name those that say nothing.

    Args:
        rows: The test.
        slices: The slices; one named `ALL` is the whole test, and says what the whole test says.
        label_gain: Gain of each grade.

    Returns:
        A size per slice, in order.
    """
    clusters, everything = clusters_of(rows), np.ones(len(rows.matrix), bool)
    whole = _outcomes(rows, slice_of(ALL, rows, everything), label_gain)
    return [
        _size(rows, part, _outcomes(rows, part, label_gain), whole, clusters) for part in slices
    ]


class _Outcomes(NamedTuple):
    """Which requests have what in a slice, bool [n_requests] each."""

    judged: np.ndarray
    without_positive: np.ndarray
    only_positives: np.ndarray


def _outcomes(rows: RankingRows, part: Slice, label_gain: Sequence[float]) -> _Outcomes:
    sizes = np.diff(part.offsets)
    positive = _gains(rows, part, label_gain) > 0
    positives = np.bincount(np.repeat(np.arange(len(sizes)), sizes)[positive], minlength=len(sizes))
    none, only = positives == 0, positives == sizes
    return _Outcomes(~none & ~only, none & (sizes > 0), only & (sizes > 0))


def _size(
    rows: RankingRows, part: Slice, held: _Outcomes, whole: _Outcomes, clusters: np.ndarray
) -> SliceSize:
    slates, showings = rows.slates, rows.slates.request_weight
    of_requests = _share(showings[held.judged], showings[whole.judged])
    of_candidates = _share(slates.weight[part.rows], slates.weight)
    wide = part.name != ALL and min(of_requests, of_candidates) > WIDE
    return SliceSize(
        slice=part.name,
        n_candidates=len(part.rows),
        n_judged=int(held.judged.sum()),
        showings=float(showings[held.judged].sum()) if slates.aggregated else None,
        n_users=len(np.unique(clusters[held.judged])),
        n_without_positive=int(held.without_positive.sum()),
        n_only_positives=int(held.only_positives.sum()),
        share_of_requests=of_requests,
        share_of_candidates=of_candidates,
        says_nothing="too wide" if wide else "too narrow" if of_requests < NARROW else None,
    )


def _share(part: np.ndarray, whole: np.ndarray) -> float:
    """Share of some weights in all of them, 0..1; 0 where there are none."""
    return min(float(part.sum() / whole.sum()), 1.0) if len(whole) else 0.0


def _gains(rows: RankingRows, part: Slice, label_gain: Sequence[float]) -> np.ndarray:
    return np.asarray(label_gain, np.float64)[rows.slates.grade[part.rows]]


def clusters_of(rows: RankingRows) -> np.ndarray:
    """Give the user of each request; each guest's request is a cluster of its own."""
    users = rows.slates.rows.request_user.astype(np.int64)
    return np.where(users >= 0, users, -1 - np.arange(len(users)))


def values_by_key(
    rows: RankingRows,
    slices: Sequence[Slice],
    scores: Mapping[str, np.ndarray],
    label_gain: Sequence[float],
) -> dict[MetricKey, np.ndarray]:
    """Give each metric of each model on each slice, float64 [n_requests]."""
    return {
        MetricKey(part.name, model, metric): per_request
        for part in slices
        for model, score in scores.items()
        for metric, per_request in values_of(rows, part, score, label_gain).items()
    }


def estimates_of(
    columns: Mapping[MetricKey, np.ndarray], clusters: np.ndarray, weights: np.ndarray
) -> tuple[list[SliceValue], list[Difference]]:
    """Give all means with intervals, and what text adds to behaviour.

    Args:
        columns: From `values_by_key`, or means of several of them.
        clusters: From `clusters_of`.
        weights: float64 [n_requests], showings each request stands for.

    Returns:
        The values, and the paired differences of every slice and metric.
    """
    with_text = [key for key in columns if key.model == TEXT_AND_BEHAVIOUR]
    gains = [columns[key] - columns[key._replace(model=BEHAVIOUR_ONLY)] for key in with_text]
    table = np.stack([*columns.values(), *gains], axis=1)
    estimates = bootstrap_means(table, clusters, weights=weights)
    values = [
        SliceValue(slice=key.slice, model=key.model, metric=key.metric, estimate=estimate)
        for key, estimate in zip(columns, estimates, strict=False)
    ]
    differences = [
        text_gain(key.slice, key.metric, estimate)
        for key, estimate in zip(with_text, estimates[len(columns) :], strict=True)
    ]
    return values, differences


def text_gain(part: str, metric: str, estimate: Estimate) -> Difference:
    """Name a difference between the ranker with text and the one without."""
    return Difference(
        slice=part,
        metric=metric,
        model=TEXT_AND_BEHAVIOUR,
        baseline=BEHAVIOUR_ONLY,
        estimate=estimate,
    )
