"""Rankers with different text columns, side by side: shared by the benchmarks of the text model."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from features.kinds.slate import slate_percentile
from recsys.bootstrap import Estimate, bootstrap_means, signed
from recsys.config import WorkspaceConfig
from recsys.evaluate import ALL, NEW_TO_USER
from recsys.feature_columns import EvaluationColumns, features_of
from recsys.measure import clusters_of, slice_of, values_of
from recsys.metrics import NDCG_AT_10
from recsys.ranker import RankerRows, fit_ranker
from recsys.ranking_rows import RankingRows

MATCH = ("interest_match", "slate_percentile_interest_match")
PARTS = ("ranker", "validation", "test")
BEHAVIOUR = "behaviour only"
SLICES = (ALL, NEW_TO_USER)

Columns = Mapping[str, np.ndarray]


def match_columns(rows: RankingRows, match: np.ndarray) -> np.ndarray:
    """Give a match and its percentile within the slate, float32 [n_rows, 2]."""
    place = slate_percentile(match.astype(np.float64), rows.slates.rows.request)
    return np.column_stack([match, place]).astype(np.float32)


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


def print_table(
    benchmark: str,
    found: Mapping[str, Sequence[np.ndarray]],
    rows: RankingRows,
    told: Mapping[str, object],
) -> None:
    """Print what `compared` does, and a line of JSON.

    Args:
        benchmark: Its name.
        found: As `compared` takes it.
        rows: What they were judged on.
        told: What else the JSON line says.
    """
    table = compared(found, rows)
    print(json.dumps({"benchmark": benchmark, **told, "table": table}), flush=True)


def interval(estimate: Estimate) -> str:
    """Write a gain and its interval."""
    return f"{signed(estimate.mean)} [{signed(estimate.low)}, {signed(estimate.high)}]"
