"""What text is worth on a workspace, over the bundles of several seeds, beside what is asked of it.

What text adds to behaviour on the test period; with `--frozen` what fine-tuning adds to the frozen
encoder inside the ranker; with `--cold` how launched items rank, from the workspace's
`reports/cold.json`, which is made first where it is missing. Prints nDCG@10 and AUC with intervals
over users, and the targets of the data set if it has some. The last line is JSON.

    python -m benchmarks.text.gain WORKSPACE --seeds 3 --frozen --cold
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.text.frozen import FROZEN_COLUMNS, frozen_columns
from benchmarks.text.ranker_table import MATCH, PARTS, SLICES, ranked
from recsys.bundle.bundle import load_bundle
from recsys.evaluation.cold_start import AGAINST_ALL, COLD, LAUNCHED, evaluate_cold
from recsys.evaluation.evaluate import NEW_TO_USER, evaluate
from recsys.evaluation.result import (
    ALL,
    BEHAVIOUR_ONLY,
    TEXT_AND_BEHAVIOUR,
    EvaluationResult,
    read_result,
)
from recsys.evaluation.slices import clusters_of
from recsys.metrics.intervals import Estimate, bootstrap_means
from recsys.metrics.ranking import AUC, NDCG_AT_10
from recsys.ranker.ranker import TEXT_COLUMNS
from recsys.reports.evaluation import save_reports
from recsys.reports.numbers import number, signed
from recsys.training.data import TrainingData
from recsys.training.rows import RankingRows
from recsys.workspace.config import WorkspaceConfig
from recsys.workspace.workspace import Workspace

_LAUNCHED_SHARE = 0.15
_RETAIL = "Online Retail II"


@dataclass(frozen=True)
class Target:
    """What a figure is to reach on a data set.

    Attributes:
        least: Its mean is to be at least this; None when any will do.
        beyond_the_interval: The interval is to lie above 0.
    """

    least: float | None = None
    beyond_the_interval: bool = False

    def reached(self, found: Estimate) -> bool:
        """Say whether a figure reaches it."""
        enough = self.least is None or found.mean >= self.least
        return enough and (found.low > 0 or not self.beyond_the_interval)

    def __str__(self) -> str:
        return "interval above 0" if self.least is None else f"at least {self.least:.3f}"


def gain_of(slice_name: str) -> str:
    """Name what text adds on a slice."""
    return f"text over behaviour, {slice_name}"


def tuning_of(slice_name: str) -> str:
    """Name what fine-tuning adds on a slice."""
    return f"fine-tuned over frozen, {slice_name}"


COLD_AUC = f"AUC, {LAUNCHED}"
COLD_GAIN = gain_of(COLD_AUC)
TARGETS = {
    _RETAIL: {
        gain_of(ALL): Target(0.0),
        gain_of(NEW_TO_USER): Target(0.02),
        tuning_of(NEW_TO_USER): Target(beyond_the_interval=True),
        COLD_AUC: Target(0.67),
        COLD_GAIN: Target(0.1),
    }
}


@dataclass(frozen=True)
class Figures:
    """What was found, by name.

    Attributes:
        levels: How good a model is.
        gains: How much better one model is than another, request by request.
    """

    levels: dict[str, Estimate]
    gains: dict[str, Estimate]

    @property
    def all(self) -> dict[str, Estimate]:
        """Both."""
        return self.levels | self.gains

    def rows(self, targets: Mapping[str, Target]) -> Iterator[str]:
        """Write the rows of a table."""
        for name, found in self.all.items():
            show = signed if name in self.gains else number
            told = f"{show(found.mean)} [{show(found.low)}, {show(found.high)}]"
            target = targets.get(name)
            verdict = "" if target is None else "yes" if target.reached(found) else "no"
            yield f"| {name} | {told} | {target or ''} | {verdict} |"


def warm_figures(result: EvaluationResult) -> Figures:
    """Give behaviour alone and what text adds on each slice of an evaluation."""
    behaviour = {
        f"{BEHAVIOUR_ONLY}, {name}": result.estimate(name, BEHAVIOUR_ONLY, NDCG_AT_10)
        for name in result.slices
    }
    return Figures(
        {name: each for name, each in behaviour.items() if each is not None},
        {
            gain_of(each.slice): each.estimate
            for each in result.differences
            if each.metric == NDCG_AT_10
        },
    )


def rows_of_seed(data: TrainingData, seed: int) -> tuple[dict[str, RankingRows], int]:
    """Read the rows of `PARTS` as a seed's bundle sees them, and the length of its history."""
    bundle = load_bundle(data.workspace.bundle(seed))
    until = int(bundle.manifest.cut_offs.text_trained_until.timestamp() * 1e6)
    rows = {
        part: data.rows(bundle.signals, until, getattr(data.config.periods, part)) for part in PARTS
    }
    return rows, bundle.signals.newest


def _on_test(
    config: WorkspaceConfig,
    rows: Mapping[str, RankingRows],
    text: Mapping[str, np.ndarray],
    names: Sequence[str],
    seed: int,
) -> np.ndarray:
    judged = {"": {"test": text["test"]}}
    return ranked(config, rows, text, names, judged, seed)[""]


def tuning_figures(data: TrainingData, seeds: int) -> Figures:
    """Train rankers on frozen and on fine-tuned columns; give what the latter add."""
    config, vectors = data.config, data.texts.vectors.items
    gains = []
    for seed in range(seeds):
        rows, newest = rows_of_seed(data, seed)
        wanted = [TEXT_COLUMNS.index(name) for name in MATCH]
        tuned = {part: each.text[:, wanted] for part, each in rows.items()}
        frozen = {part: frozen_columns(vectors, each.slates, newest) for part, each in rows.items()}
        gains.append(
            _on_test(config, rows, tuned, MATCH, seed)
            - _on_test(config, rows, frozen, FROZEN_COLUMNS, seed)
        )
    estimates = bootstrap_means(np.mean(gains, axis=0), clusters_of(rows["test"]))
    names = (tuning_of(name) for name in SLICES)
    return Figures({}, dict(zip(names, estimates, strict=True)))


def launched(workspace: Workspace, seeds: int) -> EvaluationResult:
    """Read how launched items rank, or launch them."""
    path = workspace.reports / f"{COLD}.json"
    if not path.exists():
        command = f"recsys evaluate {workspace.root} --seeds {seeds} --cold"
        save_reports(workspace, evaluate_cold(workspace, _LAUNCHED_SHARE, seeds, command), COLD)
    return read_result(path)


def cold_figures(result: EvaluationResult) -> Figures:
    """Give what a simulated launch found."""
    parts = [(metric, part) for metric in (AUC, NDCG_AT_10) for part in (LAUNCHED, AGAINST_ALL)]
    levels = {
        f"{metric}, {part}": result.estimate(part, TEXT_AND_BEHAVIOUR, metric)
        for metric, part in parts
    }
    return Figures(
        {name: each for name, each in levels.items() if each is not None},
        {
            gain_of(f"{each.metric}, {each.slice}"): each.estimate
            for each in result.differences
            if (each.metric, each.slice) in parts
        },
    )


def main() -> None:
    """Measure what is asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--seeds", type=int, default=1, help="as many as were trained")
    parser.add_argument("--frozen", action="store_true", help="compare with the frozen encoder")
    parser.add_argument("--cold", action="store_true", help="and tell how launched items rank")
    asked = parser.parse_args()
    report(Workspace.open(asked.workspace), asked.seeds, frozen=asked.frozen, cold=asked.cold)


def report(workspace: Workspace, seeds: int, *, frozen: bool, cold: bool) -> None:
    """Print a table of figures and the line of JSON."""
    command = f"python -m benchmarks.text.gain {workspace.root} --seeds {seeds}"
    data = TrainingData.open(workspace)
    data.compute_features()
    result = evaluate(data, [workspace.bundle(seed) for seed in range(seeds)], command)
    launch = launched(workspace, seeds) if cold else None
    parts = [warm_figures(result)]
    parts += [tuning_figures(data, seeds)] if frozen else []
    parts += [cold_figures(launch)] if launch is not None else []
    targets = TARGETS.get(result.data_name, {})
    print("| | found | target | reached |\n|---|---|---|---|")
    for part in parts:
        print("\n".join(part.rows(targets)))
    found = {name: each for part in parts for name, each in part.all.items()}
    summary = {
        "benchmark": "text_gain",
        "data": result.data_name,
        "slate_source": result.slate_source,
        "data_origin": result.data_origin,
        "seeds": seeds,
        "cold_made_by": launch and launch.command,
        "figures": {name: [each.mean, each.low, each.high] for name, each in found.items()},
        "targets": {
            name: {"target": str(target), "reached": target.reached(found[name])}
            for name, target in targets.items()
            if name in found
        },
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
