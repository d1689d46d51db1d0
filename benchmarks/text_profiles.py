"""Which profile of the history, and which companions, earn their place in the ranker.

Trains one ranker for each choice of text columns on the ranker's period, from the text models of
bundles that are there, and compares nDCG@10 on the test with that of behaviour alone. The last line
is JSON. With `--period validation` the test is not looked at: for choosing.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from likeness import LIKENESS, LikenessTable
from mined import MinedSampler
from profiles import PRODUCT, PROFILES, profile_match, train_profile
from ranker_table import BEHAVIOUR, MATCH, PARTS, match_columns, ndcg_of, print_table, ranked

from features.kinds.slate import slate_percentile
from features.log_days import Log
from recsys.bundle import Bundle, load_bundle
from recsys.dataset import LabelledSlates, read_slates
from recsys.ranker import TEXT_COLUMNS, text_columns
from recsys.ranking_rows import RankingRows, Texts, encode_texts, ranking_rows
from recsys.split import periods
from recsys.text.signals import TextSignals, signal_rows
from recsys.train import BUNDLES, bundle_name
from recsys.workspace import Workspace
from recsys.workspace_features import open_workspace_log, run_backfill

_HELD_OUT, _HELD_OUT_AT_MOST = 0.1, 1_000
_NEAREST = 50
"""Neighbours of a positive that mined negatives are drawn from."""


@dataclass(frozen=True)
class Choice:
    """Text columns for a ranker, and how the match comes about.

    Attributes:
        name: In the table.
        columns: Names among `TEXT_COLUMNS`.
        newest: Past items of the match; None for the bundle's own number.
        scales: Factors on the two attentions, the blind and the sharp one.
        beside: Of the frozen likeness: nearest, kernel, and the percentile of that; so many.
        profile: Among `PROFILES`: a head that is trained here and gives the match instead.
        mined: Share of that head's negatives that are neighbours of a positive instead.
    """

    name: str
    columns: tuple[str, ...]
    newest: int | None = None
    scales: tuple[float, float] = (1.0, 1.0)
    beside: int = 0
    profile: str = ""
    mined: float = 0.0


FROZEN = Choice("frozen: maximum and kernel over 300 items", (), beside=3)
FINE_TUNED = Choice("fine-tuned: newest 300 items", MATCH)
CHOICES = (
    Choice(BEHAVIOUR, ()),
    Choice("frozen: maximum over 300 items", (), beside=1),
    FROZEN,
    Choice("fine-tuned: newest 30 items", MATCH, 30),
    Choice("fine-tuned: newest 100 items", MATCH, 100),
    FINE_TUNED,
    Choice("fine-tuned: 300 items, the blind attention alone", MATCH, None, (1.0, 0.0)),
    Choice("fine-tuned: 300 items, the sharp attention alone", MATCH, None, (0.0, 1.0)),
    Choice("fine-tuned: 300 items, with both companions", MATCH, beside=3),
    *(Choice(f"trained here: {name}", MATCH, profile=name) for name in PROFILES),
    *(
        Choice(
            f"trained here: {PRODUCT}, {share:.0%} of the negatives mined",
            MATCH,
            None,
            mined=share,
            profile=PRODUCT,
        )
        for share in (0.25, 0.5)
    ),
)


@dataclass(frozen=True)
class World:
    """A workspace with the rows of its three later periods as one bundle's text model sees them."""

    workspace: Workspace
    log: Log
    texts: Texts
    bundle: Bundle
    rows: dict[str, RankingRows]

    def text(self, choice: Choice, seed: int) -> dict[str, np.ndarray]:
        """Give the chosen text columns of each period, float32 [n_rows, n_columns]."""
        if choice.profile:
            return self.trained(choice, seed)
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

    def trained(self, choice: Choice, seed: int) -> dict[str, np.ndarray]:
        """Train a head with another profile, and give its match and percentile of each period."""
        config, vectors = self.workspace.config, self.texts.vectors
        split = periods(config.split, config.labels.attribution_window_hours)
        newest = config.text.training_history
        slates = read_slates(
            self.workspace, self.log, self.texts.queries, split.text, newest
        ).slates
        cut = held_out_from(slates)
        sampler = MinedSampler(
            slates.cut(0, cut),
            vectors.items,
            config.labels.label_gain,
            config.text,
            seed,
            choice.mined,
            _NEAREST,
        )
        found = train_profile(
            PROFILES[choice.profile],
            sampler,
            slates.cut(cut, len(slates)),
            vectors,
            len(self.log.kinds),
            config.labels.label_gain,
        )
        print(f"  {found.steps} steps, nDCG@10 alone {found.ndcg:.4f} where it stopped", flush=True)
        return {
            part: match_columns(rows, profile_match(found.model, rows.slates, vectors))
            for part, rows in self.rows.items()
        }

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


def held_out_from(slates: LabelledSlates) -> int:
    """Give the first of the text model's slates that decide when to stop, as in the product."""
    return len(slates) - min(int(len(slates) * _HELD_OUT), _HELD_OUT_AT_MOST)


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
        for part in PARTS
    }
    return World(workspace, log, texts, bundle, rows)


@dataclass(frozen=True)
class Judged:
    """What rankers with different text columns do with one seed.

    Attributes:
        rows: What they were judged on.
        ranker: nDCG@10 per request, float64 [n_requests, 2], by the choice's name.
        match: Mean nDCG@10 of the first text column alone, by the choice's name.
    """

    rows: RankingRows
    ranker: dict[str, np.ndarray]
    match: dict[str, float]


def judge(workspace: Workspace, choices: Sequence[Choice], part: str, seed: int) -> Judged:
    """Train a ranker for each choice and judge it.

    Args:
        workspace: The workspace, with a bundle of the seed.
        choices: What is compared.
        part: Which of `PARTS` to judge on.
        seed: Of the bundle, and of what is trained here.

    Returns:
        What came of it.
    """
    world, config = open_world(workspace, seed), workspace.config
    found = Judged(world.rows[part], {}, {})
    for choice in choices:
        text = world.text(choice, seed)
        names = [*choice.columns, *LIKENESS[: choice.beside]]
        judged = ranked(config, world.rows, text, names, {"": {part: text[part]}}, seed)[""]
        found.ranker[choice.name] = judged
        line = f"seed {seed}: {choice.name}: {np.nanmean(judged, axis=0)}"
        if choice.columns:
            score = np.where(np.isnan(text[part][:, 0]), -np.inf, text[part][:, 0])
            mean = np.nanmean(ndcg_of(world.rows[part], score, config), axis=0)
            found.match[choice.name] = float(mean[0])
            line += f"; the match alone {mean}"
        print(line, flush=True)
    return found


def compare(workspace: Workspace, choices: Sequence[Choice], part: str, seeds: int) -> None:
    """Print the table and the line of JSON after every seed."""
    judged: list[Judged] = []
    for seed in range(seeds):
        judged.append(judge(workspace, choices, part, seed))
        alone = {
            name: float(np.mean([each.match[name] for each in judged])) for name in judged[0].match
        }
        told = {
            "period": part,
            "seeds": seed + 1,
            "data": workspace.config.name,
            "match_alone": alone,
        }
        found = {choice.name: [each.ranker[choice.name] for each in judged] for choice in choices}
        print_table("text_profiles", found, judged[-1].rows, told)


def main() -> None:
    """Read the command line and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--seeds", type=int, default=1, help="as many as were trained")
    parser.add_argument("--period", choices=("validation", "test"), default="test")
    parser.add_argument("--only", action="append", help="choices whose name has this in it")
    arguments = parser.parse_args()
    wanted = arguments.only or [""]
    chosen = [
        each
        for each in CHOICES
        if each.name == BEHAVIOUR or any(part in each.name for part in wanted)
    ]
    workspace = Workspace.open(arguments.workspace)
    compare(workspace, chosen, arguments.period, arguments.seeds)


if __name__ == "__main__":
    main()
