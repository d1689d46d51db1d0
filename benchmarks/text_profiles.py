"""Which profile of the history, and which companions, earn their place in the ranker.

Trains one ranker for each choice of text columns on the ranker's period, from the text models of
bundles that are there, and compares nDCG@10 on the test with that of behaviour alone. The last line
is JSON. With `--period validation` the test is not looked at: for choosing.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from likeness import LIKENESS, LikenessTable

from features.kinds.slate import slate_percentile
from recsys.bootstrap import Estimate, bootstrap_means, signed
from recsys.bundle import Bundle, load_bundle
from recsys.evaluate import ALL, NEW_TO_USER
from recsys.feature_columns import EvaluationColumns, features_of
from recsys.measure import clusters_of, slice_of, values_of
from recsys.metrics import NDCG_AT_10
from recsys.ranker import TEXT_COLUMNS, RankerRows, fit_ranker, text_columns
from recsys.ranking_rows import RankingRows, Texts, encode_texts, ranking_rows
from recsys.split import periods
from recsys.text.signals import TextSignals, signal_rows
from recsys.train import BUNDLES, bundle_name
from recsys.workspace import Workspace
from recsys.workspace_features import open_workspace_log, run_backfill

_MATCH = ("interest_match", "slate_percentile_interest_match")
_PARTS = ("ranker", "validation", "test")


@dataclass(frozen=True)
class Choice:
    """Text columns for a ranker, and how the match comes about.

    Attributes:
        name: In the table.
        columns: Names among `TEXT_COLUMNS`.
        newest: Past items of the match; None for the bundle's own number.
        scales: Factors on the two attentions, the blind and the sharp one.
        beside: Of the frozen likeness: nearest, kernel, and the percentile of that; so many.
    """

    name: str
    columns: tuple[str, ...]
    newest: int | None = None
    scales: tuple[float, float] = (1.0, 1.0)
    beside: int = 0


BEHAVIOUR = Choice("behaviour only", ())
CHOICES = (
    BEHAVIOUR,
    Choice("frozen: maximum over 300 items", (), beside=1),
    Choice("frozen: maximum and kernel over 300 items", (), beside=3),
    Choice("fine-tuned: newest 30 items", _MATCH, 30),
    Choice("fine-tuned: newest 100 items", _MATCH, 100),
    Choice("fine-tuned: newest 300 items", _MATCH),
    Choice("fine-tuned: 300 items, the blind attention alone", _MATCH, None, (1.0, 0.0)),
    Choice("fine-tuned: 300 items, the sharp attention alone", _MATCH, None, (0.0, 1.0)),
    Choice("fine-tuned: 300 items, with both companions", _MATCH, beside=3),
)


@dataclass(frozen=True)
class World:
    """A workspace with the rows of its three later periods as one bundle's text model sees them."""

    workspace: Workspace
    texts: Texts
    bundle: Bundle
    rows: dict[str, RankingRows]

    def text(self, choice: Choice) -> dict[str, np.ndarray]:
        """Give the chosen text columns of each period, float32 [n_rows, n_columns]."""
        wanted = [TEXT_COLUMNS.index(name) for name in choice.columns]
        changed = choice.newest is not None or choice.scales != (1.0, 1.0)
        found = {}
        for part, rows in self.rows.items():
            columns = rows.text
            if changed:
                signals = signal_rows(self.signals(choice), rows.slates, self.texts.vectors.queries)
                columns = text_columns(signals, rows.slates.rows.request)
            found[part] = np.hstack([columns[:, wanted], self.frozen(rows)[:, : choice.beside]])
        return found

    def frozen(self, rows: RankingRows) -> np.ndarray:
        """Compare each candidate with the history in the frozen encoder's space, [n_rows, 3]."""
        table = LikenessTable.of(
            self.texts.vectors.items, dimensions=128, width=0.1, history=self.bundle.signals.newest
        )
        slates = rows.slates
        found = np.empty((len(slates.rows), 2), np.float32)
        for request in range(len(slates)):
            low, high = slates.rows.offsets[request : request + 2]
            item = slates.rows.item[low:high]
            history = slates.history.take(np.array([request]))
            found[low:high] = table.read(table.candidates(item), item, history)
        place = slate_percentile(found[:, 1].astype(np.float64), slates.rows.request)
        return np.column_stack([found, place]).astype(np.float32)

    def signals(self, choice: Choice) -> TextSignals:
        """Change how the bundle's text model looks at the history."""
        signals = self.bundle.signals
        scales = signals.interest.weights["scales"].copy()
        scales[:2] *= choice.scales
        weights = {**signals.interest.weights, "scales": scales}
        interest = replace(signals.interest, weights=weights)
        return replace(signals, interest=interest, newest=choice.newest or signals.newest)


def open_world(workspace: Workspace, seed: int) -> World:
    """Read the rows with the text model of one seed's bundle."""
    bundle = load_bundle(workspace.root / BUNDLES / bundle_name(seed))
    log = open_workspace_log(workspace)
    run_backfill(workspace, log)
    texts = encode_texts(workspace)
    split = periods(workspace.config.split, workspace.config.labels.attribution_window_hours)
    until = int(bundle.manifest.cut_offs.text_trained_until.timestamp() * 1e6)
    rows = {
        part: ranking_rows(workspace, log, texts, bundle.signals, until, getattr(split, part))
        for part in _PARTS
    }
    return World(workspace, texts, bundle, rows)


def values(world: World, choice: Choice, part: str, seed: int) -> np.ndarray:
    """Train a ranker on a choice and give nDCG@10 per request, float64 [n_requests, 2]."""
    config, text = world.workspace.config, world.text(choice)

    def rows(name: str) -> RankerRows:
        without = world.rows[name].for_ranker(with_text=False)
        return replace(without, matrix=np.hstack([without.matrix, text[name]]))

    names = [*features_of(config).names, *choice.columns, *LIKENESS[: choice.beside]]
    gains = config.labels.label_gain
    ranker = fit_ranker(rows("ranker"), rows("validation"), names, gains, config.ranker, seed)
    judged = world.rows[part]
    taken = judged.evaluation[EvaluationColumns.of(config).taken.name]
    slices = (
        slice_of(ALL, judged, np.ones(len(taken), bool)),
        slice_of(NEW_TO_USER, judged, ~(taken > 0)),
    )
    score = ranker.score(rows(part).matrix)
    return np.stack([values_of(judged, cut, score, gains)[NDCG_AT_10] for cut in slices], axis=1)


def compare(workspace: Workspace, choices: Sequence[Choice], part: str, seeds: int) -> None:
    """Print the table and the line of JSON."""
    found: dict[str, list[np.ndarray]] = {choice.name: [] for choice in choices}
    for seed in range(seeds):
        world = open_world(workspace, seed)
        for choice in choices:
            found[choice.name].append(values(world, choice, part, seed))
            print(f"seed {seed}: {choice.name}", flush=True)
    means = {name: np.mean(per_seed, axis=0) for name, per_seed in found.items()}
    gains = [means[choice.name] - means[BEHAVIOUR.name] for choice in choices]
    estimates = bootstrap_means(np.hstack([*means.values(), *gains]), clusters_of(world.rows[part]))
    half = 2 * len(choices)
    print(
        f"\n| {part}, {seeds} seeds | {ALL} | {NEW_TO_USER} | gain | gain |\n|---|---|---|---|---|"
    )
    table = {}
    for place, choice in enumerate(choices):
        mean = estimates[2 * place : 2 * place + 2]
        gain = estimates[half + 2 * place : half + 2 * place + 2]
        cells = [f"{each.mean:.4f}" for each in mean] + [_interval(each) for each in gain]
        print(f"| {choice.name} | {' | '.join(cells)} |")
        table[choice.name] = [[each.mean, each.low, each.high] for each in (*mean, *gain)]
    print(json.dumps({"benchmark": "text_profiles", "period": part, "seeds": seeds, **table}))


def _interval(estimate: Estimate) -> str:
    return f"{signed(estimate.mean)} [{signed(estimate.low)}, {signed(estimate.high)}]"


def main() -> None:
    """Read the command line and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--seeds", type=int, default=1, help="as many as were trained")
    parser.add_argument("--period", choices=("validation", "test"), default="test")
    parser.add_argument("--only", default="", help="choices whose name has this in it")
    arguments = parser.parse_args()
    chosen = [each for each in CHOICES if each == BEHAVIOUR or arguments.only in each.name]
    workspace = Workspace.open(arguments.workspace)
    compare(workspace, chosen, arguments.period, arguments.seeds)


if __name__ == "__main__":
    main()
