"""Metrics of models per request and slice, and what their means and differences are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recsys.evaluation.result import BEHAVIOUR_ONLY, TEXT_AND_BEHAVIOUR, Difference, SliceValue
from recsys.metrics.intervals import Estimate, bootstrap_means
from recsys.metrics.ranking import AUC, MRR, NDCG_AT_10, auc, mrr, ndcg_at_k, rank_rows
from recsys.training.rows import RankingRows


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
    gain = np.asarray(label_gain, np.float64)[rows.slates.grade[part.rows]]
    ranked = rank_rows(offsets, score[part.rows], gain, tie_keys=part.rows.astype(np.uint64))
    values = {}
    for name, metric in ((NDCG_AT_10, ndcg_at_k), (MRR, mrr), (AUC, auc)):
        values[name] = np.full(len(part.offsets) - 1, np.nan)
        values[name][filled] = metric(ranked)
    return values


def clusters_of(rows: RankingRows) -> np.ndarray:
    """Give the user of each request; each guest's request is a cluster of its own."""
    users = rows.slates.rows.request_user.astype(np.int64)
    return np.where(users >= 0, users, -1 - np.arange(len(users)))


def values_by_key(
    rows: RankingRows,
    slices: Sequence[Slice],
    scores: Mapping[str, np.ndarray],
    label_gain: Sequence[float],
) -> dict[str, np.ndarray]:
    """Give each metric of each model on each slice, float64 [n_requests], by what names it."""
    return {
        f"{part.name}\n{model}\n{metric}": per_request
        for part in slices
        for model, score in scores.items()
        for metric, per_request in values_of(rows, part, score, label_gain).items()
    }


def estimates_of(
    columns: Mapping[str, np.ndarray], clusters: np.ndarray
) -> tuple[list[SliceValue], list[Difference]]:
    """Give all means with intervals, and what text adds to behaviour.

    Args:
        columns: From `values_by_key`, or means of several of them.
        clusters: From `clusters_of`.

    Returns:
        The values, and the paired differences of every slice and metric.
    """
    pairs = [
        (key, key.replace(f"\n{TEXT_AND_BEHAVIOUR}\n", f"\n{BEHAVIOUR_ONLY}\n"))
        for key in columns
        if f"\n{TEXT_AND_BEHAVIOUR}\n" in key
    ]
    gains = [columns[both] - columns[behaviour] for both, behaviour in pairs]
    estimates = bootstrap_means(np.stack([*columns.values(), *gains], axis=1), clusters)
    values = [
        SliceValue(slice=part, model=model, metric=metric, estimate=estimate)
        for (part, model, metric), estimate in zip(
            (key.split("\n") for key in columns), estimates, strict=False
        )
    ]
    differences = [
        text_gain(both.split("\n")[0], both.split("\n")[2], estimate)
        for (both, _), estimate in zip(pairs, estimates[len(columns) :], strict=True)
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
