"""Rankers with different text columns, side by side: shared by the benchmarks of the text model."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from recsys.evaluation.evaluate import NEW_TO_USER
from recsys.evaluation.result import ALL
from recsys.evaluation.slices import clusters_of, slice_of, values_of
from recsys.metrics.intervals import Estimate, bootstrap_means
from recsys.metrics.ranking import NDCG_AT_10
from recsys.ranker.ranker import RankerRows, fit_ranker
from recsys.reports.numbers import signed
from recsys.training.rows import RankingRows
from recsys.workspace.config import WorkspaceConfig
from recsys.workspace.feature_sets import EvaluationColumns, features_of

MATCH = ("interest_match", "slate_percentile_interest_match")
PARTS = ("ranker", "validation", "test")
BEHAVIOUR = "behaviour only"
SLICES = (ALL, NEW_TO_USER)

Columns = Mapping[str, np.ndarray]


def ndcg_of(rows: RankingRows, score: np.ndarray, config: WorkspaceConfig) -> np.ndarray:
    """Give nDCG@10 per request on all rows and on items new to the user, float64 [n, 2]."""
    taken = rows.evaluation[EvaluationColumns.of(config).taken.name]
    slices = (
        slice_of(ALL, rows, np.ones(len(taken), bool)),
        slice_of(NEW_TO_USER, rows, ~(taken > 0)),
    )
    gains = config.labels.label_gain
    return np.stack([values_of(rows, cut, score, gains)[NDCG_AT_10] for cut in slices], axis=1)


def ranked(
    config: WorkspaceConfig,
    rows: Mapping[str, RankingRows],
    text: Columns,
    names: Sequence[str],
    judged: Mapping[str, Columns],
    seed: int,
) -> dict[str, np.ndarray]:
    """Train a ranker on behaviour and some text columns, and judge it.

    Args:
        config: Of the workspace.
        rows: Of each of `PARTS`.
        text: Text columns of the ranker's and the validation's rows, float32 [n_rows, n_names].
        names: Their names.
        judged: Text columns to judge with, by a name, each with those of one of `PARTS`.
        seed: Of the ranker.

    Returns:
        nDCG@10 per request, float64 [n_requests, 2], by the name in `judged`.
    """

    def with_text(part: str, columns: np.ndarray) -> RankerRows:
        without = rows[part].for_ranker(with_text=False)
        return replace(without, matrix=np.hstack([without.matrix, columns]))

    ranker = fit_ranker(
        with_text("ranker", text["ranker"]),
        with_text("validation", text["validation"]),
        [*features_of(config).names, *names],
        config.labels.label_gain,
        config.ranker,
        seed,
        features_of(config).codes,
    )
    found = {}
    for name, columns in judged.items():
        ((part, values),) = columns.items()
        score = ranker.score(with_text(part, values).matrix)
        found[name] = ndcg_of(rows[part], score, config)
    return found


def no_columns(rows: Mapping[str, RankingRows]) -> dict[str, np.ndarray]:
    """Give the text columns of a ranker without any, float32 [n_rows, 0] of each part."""
    return {part: np.zeros((len(each.matrix), 0), np.float32) for part, each in rows.items()}


def compared(
    found: Mapping[str, Sequence[np.ndarray]], rows: RankingRows
) -> dict[str, list[list[float]]]:
    """Print means, and gains over the first entry, with intervals over users.

    Args:
        found: nDCG@10 per request of each row of the table, float64 [n_requests, 2], one per seed.
        rows: What they were judged on.

    Returns:
        Mean, low and high of each of the means and gains, by the names in `found`.
    """
    means = [np.mean(per_seed, axis=0) for per_seed in found.values()]
    gains = [mean - means[0] for mean in means]
    estimates = bootstrap_means(np.hstack([*means, *gains]), clusters_of(rows))
    print(f"\n| | {' | '.join(SLICES)} | gain: {' | gain: '.join(SLICES)} |\n|---|---|---|---|---|")
    table = {}
    for place, name in enumerate(found):
        mean = estimates[2 * place : 2 * place + 2]
        gain = estimates[2 * (len(found) + place) : 2 * (len(found) + place) + 2]
        cells = [f"{each.mean:.4f}" for each in mean] + [interval(each) for each in gain]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
        table[name] = [[each.mean, each.low, each.high] for each in (*mean, *gain)]
    return table


def interval(estimate: Estimate) -> str:
    """Write a gain and its interval."""
    return f"{signed(estimate.mean)} [{signed(estimate.low)}, {signed(estimate.high)}]"
