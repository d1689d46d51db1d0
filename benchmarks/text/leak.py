"""The wrong way, once: a text model trained on the ranker's own window, and what that costs.

Trains the interest match twice on slates of the same kind, before the ranker's window and on it,
and the ranker on each. The product refuses the second (`LeakError`); this script tells the check a
time that is not true. Prints nDCG@10 on the test period and, as the last line, JSON.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recsys.metrics.intervals import Estimate, bootstrap_means
from recsys.metrics.ranking import ndcg_at_k, rank_rows
from recsys.ranker.ranker import TEXT_COLUMNS, fit_ranker
from recsys.training.data import TrainingData
from recsys.training.rows import RankingRows
from recsys.training.text_model import TextRun, train_text
from recsys.workspace.config import WorkspaceConfig
from recsys.workspace.feature_sets import EvaluationColumns, features_of
from recsys.workspace.workspace import Workspace

ALWAYS = 0
"""What the check is told instead of the text model's real end: it lets everything pass."""
PARTS = ("all", "new to the user")


@dataclass(frozen=True)
class Window:
    """Rows of the periods as one text model sees them."""

    ranker: RankingRows
    validation: RankingRows
    test: RankingRows


def main() -> None:
    """Train both ways and no text at all, and compare them on the test period."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--steps", type=int, help="of the text model; as [text] says when absent")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    workspace = Workspace.open(arguments.workspace)
    config = workspace.config
    if arguments.steps:
        text = config.text.model_copy(update={"steps": arguments.steps})
        config = config.model_copy(update={"text": text})
        workspace = Workspace(workspace.root, config)
    honest, leaking = (windows(workspace, arguments.seed, leak=leak) for leak in (False, True))
    scores = {
        "behaviour only": ndcg(config, honest, arguments.seed, with_text=False),
        "text trained before the ranker's window": ndcg(
            config, honest, arguments.seed, with_text=True
        ),
        "text trained on the ranker's window": ndcg(
            config, leaking, arguments.seed, with_text=True
        ),
    }
    users = honest.test.slates.rows.request_user.astype(np.int64)
    clusters = np.where(users >= 0, users, -1 - np.arange(len(users)))
    table(scores, clusters)
    print(json.dumps(summary(config, arguments.seed, scores, clusters)))


def windows(workspace: Workspace, seed: int, *, leak: bool) -> Window:
    """Train the text model before the ranker's window or on it, and score all periods."""
    data = TrainingData.open(workspace)
    data.compute_features()
    split = workspace.config.periods
    period = split.ranker if leak else split.text
    model = train_text(data, period, TextRun(seed, mode="head"))
    signals = data.signals(model.model)
    until = ALWAYS if leak else model.record.trained_until
    ranker, validation, test = (
        data.rows(signals, until, each) for each in (split.ranker, split.validation, split.test)
    )
    return Window(ranker, validation, test)


def ndcg(
    config: WorkspaceConfig, window: Window, seed: int, *, with_text: bool
) -> dict[str, np.ndarray]:
    """Train a ranker and give nDCG@10 of each test request, float64 [n_requests], by part."""
    columns = [*features_of(config).names, *(TEXT_COLUMNS if with_text else ())]
    fitted = fit_ranker(
        window.ranker.for_ranker(with_text=with_text),
        window.validation.for_ranker(with_text=with_text),
        columns,
        config.labels.label_gain,
        config.ranker,
        seed,
    )
    test = window.test
    score = fitted.score(test.for_ranker(with_text=with_text).matrix)
    gain = np.asarray(config.labels.label_gain)[test.slates.grade]
    taken = test.evaluation[EvaluationColumns.of(config).taken.name]
    # NaN where nothing was taken ever.
    kept = {PARTS[0]: np.ones(len(gain), bool), PARTS[1]: ~(taken > 0)}
    return {part: per_request(test, score, gain, rows) for part, rows in kept.items()}


def per_request(
    test: RankingRows, score: np.ndarray, gain: np.ndarray, kept: np.ndarray
) -> np.ndarray:
    """Give nDCG@10 over the kept rows of each request; NaN where nothing can be ordered."""
    request = test.slates.rows.request[kept]
    sizes = np.bincount(request, minlength=len(test.slates))
    filled = np.flatnonzero(sizes)
    values = np.full(len(sizes), np.nan)
    offsets = np.append(0, np.cumsum(sizes[filled]))
    values[filled] = ndcg_at_k(rank_rows(offsets, score[kept], gain[kept]))
    return values


def estimate(values: np.ndarray, clusters: np.ndarray) -> Estimate:
    """Estimate the mean of one value per request, float64 [n_requests]."""
    return bootstrap_means(values[:, None], clusters)[0]


def table(scores: dict[str, dict[str, np.ndarray]], clusters: np.ndarray) -> None:
    """Print the comparison as Markdown."""
    first = next(iter(scores.values()))
    print(f"| nDCG@10 on the test period | {' | '.join(f'{p} | over behaviour' for p in PARTS)} |")
    print(f"|---|{'---|---|' * len(PARTS)}")
    for name, values in scores.items():
        cells = []
        for part in PARTS:
            cells.append(shown(estimate(values[part], clusters)))
            gain = estimate(values[part] - first[part], clusters)
            cells.append("" if values is first else shown(gain, sign="+"))
        print(f"| {name} | {' | '.join(cells)} |")


def shown(estimate: Estimate, sign: str = "") -> str:
    """Write a mean and its interval."""
    mean, low, high = estimate.mean, estimate.low, estimate.high
    return f"{mean:{sign}.4f} [{low:{sign}.4f}, {high:{sign}.4f}]"


def summary(
    config: WorkspaceConfig,
    seed: int,
    scores: dict[str, dict[str, np.ndarray]],
    clusters: np.ndarray,
) -> dict[str, object]:
    """Give the figures as JSON values: mean, low, high."""
    behaviour, honest, leaking = scores.values()

    def difference(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> dict[str, object]:
        found = {part: estimate(one[part] - other[part], clusters) for part in PARTS}
        return {part: [e.mean, e.low, e.high] for part, e in found.items()}

    return {
        "benchmark": "text_leak",
        "data": config.name,
        "slate_source": config.slate_source,
        "steps": config.text.steps,
        "seed": seed,
        "honest_over_behaviour": difference(honest, behaviour),
        "leaking_over_behaviour": difference(leaking, behaviour),
        "leaking_over_honest": difference(leaking, honest),
    }


if __name__ == "__main__":
    main()
