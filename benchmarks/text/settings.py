"""What single settings of `[text]` are worth to the ranker: one text model and one ranker for each.

Every row changes what it names and nothing else, trains the text model before `text_end`, a ranker
on it, and compares nDCG@10 with behaviour alone, and with the row as they are. `--set` gives a row
of one's own, `--base` changes what all rows begin from, `--refresh` trains the text model on later
requests instead. Last a line of JSON.

    python -m benchmarks.text.settings WORKSPACE --set "popularity_correction=1"
    python -m benchmarks.text.settings WORKSPACE --set "mode=top_layers" --set "mode=lora" \
        --base "mode=head steps=200 batch_slates=16 training_history=30"
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import numpy as np

from benchmarks.text.ranker_table import (
    BEHAVIOUR,
    MATCH,
    PARTS,
    compared,
    ndcg_of,
    no_columns,
    ranked,
)
from data_contracts.errors import UsageError
from recsys.labels.split import Period
from recsys.ranker.ranker import text_columns
from recsys.text.settings import TextSettings
from recsys.text.signals import match_rows
from recsys.training.data import TrainingData
from recsys.training.rows import RankingRows
from recsys.training.text_model import TextRun, train_text
from recsys.workspace.workspace import Workspace

AS_THEY_ARE = "as they are"


@dataclass(frozen=True)
class Trainer:
    """A workspace whose text model is trained with this setting and that.

    Attributes:
        data: Its data, with the vectors of the frozen encoder.
        seed: Of text models and rankers.
    """

    data: TrainingData
    seed: int

    def columns(
        self, changes: Mapping[str, object], rows: Mapping[str, RankingRows], period: Period
    ) -> tuple[dict[str, np.ndarray], dict[str, object]]:
        """Train a text model on a period.

        Args:
            changes: Of the settings.
            rows: Whose text columns are asked for.
            period: What it is trained on.

        Returns:
            The text columns of each part, and what the training cost.
        """
        text = TextSettings.model_validate({**self.data.config.text.model_dump(), **changes})
        config = self.data.config.model_copy(update={"text": text})
        data = replace(self.data, workspace=replace(self.data.workspace, config=config))
        started = time.process_time()
        model = train_text(data, period, TextRun(self.seed))
        spent = time.process_time() - started
        point = max(model.record.curve, key=lambda point: point.validation_ndcg_at_10)
        cost: dict[str, object] = {
            "mode": model.record.mode,
            "processor_seconds": spent,
            "seconds_a_step": text.batch_slates * text.accumulation / model.slates_per_second,
            "best_step": point.step,
            "validation_ndcg_at_10": point.validation_ndcg_at_10,
        }
        print("  " + ", ".join(f"{name} {told(value)}" for name, value in cost.items()), flush=True)
        data = data.encoded_by(model.encoder)
        signals, vectors = data.signals(model.model), data.texts.vectors.queries
        return {
            part: text_columns(
                match_rows(signals, each.slates, vectors),
                each.slates.rows.request,
            )
            for part, each in rows.items()
        }, cost


def told(value: object) -> str:
    """Write a figure with three decimals, and anything else as it is."""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def open_rows(workspace: Workspace, seed: int) -> tuple[Trainer, dict[str, RankingRows]]:
    """Read the rows of the three later periods; their text columns are an untrained head's."""
    data = TrainingData.open(workspace)
    data.compute_features()
    split = workspace.config.periods
    quick = workspace.config.text.model_copy(update={"steps": 1})
    short = replace(workspace, config=workspace.config.model_copy(update={"text": quick}))
    model = train_text(replace(data, workspace=short), split.text, TextRun(seed, mode="head"))
    signals = data.signals(model.model)
    rows = {
        part: data.rows(signals, model.record.trained_until, getattr(split, part)) for part in PARTS
    }
    return Trainer(data, seed), rows


def changed(asked: str) -> dict[str, object]:
    """Read `name=value name=value`; values as JSON, words as they are."""
    found: dict[str, object] = {}
    for part in asked.split():
        name, equals, value = part.partition("=")
        if not equals or name not in TextSettings.model_fields:
            raise UsageError(
                f"--set {part}", "name=value of [text]", "see docs/config.md for the names"
            )
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
    return found


@dataclass(frozen=True)
class Compared:
    """nDCG@10 per request, float64 [n_requests, 2], one per seed, by name.

    Attributes:
        ranker: Of rankers.
        match: Of the match alone.
        costs: What each training cost, one per seed, by name.
    """

    ranker: dict[str, list[np.ndarray]] = field(default_factory=dict)
    match: dict[str, list[np.ndarray]] = field(default_factory=dict)
    costs: dict[str, list[dict[str, object]]] = field(default_factory=dict)

    def tables(self, rows: RankingRows) -> dict[str, object]:
        """Print the tables and give them."""
        first = {AS_THEY_ARE: self.ranker[AS_THEY_ARE], **self.ranker}
        tables = {"table": compared(self.ranker, rows)}
        for name, found in (("over_as_they_are", first), ("match_alone", self.match)):
            print(f"\n{name.replace('_', ' ')}:")
            tables[name] = compared(found, rows)
        return {**tables, "costs": self.costs}


def compare(workspace: Workspace, asked: Sequence[str], seeds: int, *, refresh: bool) -> None:
    """Train, rank and print."""
    found, config = Compared(), workspace.config
    split = config.periods
    for seed in range(seeds):
        trainer, rows = open_rows(workspace, seed)
        kept = {BEHAVIOUR: ranked_alone(trainer, rows)}
        for changes in ("", *asked):
            name = changes or AS_THEY_ARE
            print(f"seed {seed}: {name}", flush=True)
            columns, cost = trainer.columns(changed(changes), rows, split.text)
            judged = {name: {"test": columns["test"]}}
            match = np.where(np.isnan(columns["test"][:, 0]), -np.inf, columns["test"][:, 0])
            found.match.setdefault(name, []).append(ndcg_of(rows["test"], match, config))
            found.costs.setdefault(name, []).append(cost)
            if refresh and not changes:
                until = Period(None, config.split.validation_end)
                fresh, _ = trainer.columns({}, rows, until)
                judged["the same ranker, text model of all before the test"] = {
                    "test": fresh["test"]
                }
            kept |= ranked(config, rows, columns, MATCH, judged, seed)
        if refresh:
            kept |= moved_on(trainer, rows, seed)
        for name, values in kept.items():
            found.ranker.setdefault(name, []).append(values)
        tables = found.tables(rows["test"])
        about = {"benchmark": "text_settings", "data": config.name, "seeds": seed + 1}
        print(json.dumps({**about, **tables}), flush=True)


def ranked_alone(trainer: Trainer, rows: Mapping[str, RankingRows]) -> np.ndarray:
    """Judge a ranker without text."""
    nothing = no_columns(rows)
    judged = {"": {"test": nothing["test"]}}
    return ranked(trainer.data.config, rows, nothing, (), judged, trainer.seed)[""]


def moved_on(trainer: Trainer, rows: Mapping[str, RankingRows], seed: int) -> dict[str, np.ndarray]:
    """Move `text_end` to the middle of the ranker's period: fresher text, fewer rows to rank by."""
    config = trainer.data.config
    split = config.split
    text_end = split.text_end + (split.ranker_end - split.text_end) / 2
    gap = timedelta(hours=config.labels.attribution_window_hours)
    ranker = rows["ranker"].slates.rows
    later = ranker.request_time[ranker.request] >= int((text_end + gap).timestamp() * 1e6)
    short = {**rows, "ranker": rows["ranker"].only(later)}
    columns, _ = trainer.columns({}, short, Period(None, text_end))
    name = f"text_end on {text_end:%Y-%m-%d}, ranker on what is left"
    judged = {name: {"test": columns["test"]}}
    return {
        f"behaviour only, ranker from {text_end:%Y-%m-%d} on": ranked_alone(trainer, short),
        **ranked(config, short, columns, MATCH, judged, seed),
    }


def main() -> None:
    """Read the command line and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--set", action="append", default=[], help="'name=value ...' of [text]")
    parser.add_argument("--base", default="", help="the same, of all rows")
    parser.add_argument("--refresh", action="store_true", help="train on later requests too")
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    workspace = Workspace.open(arguments.workspace)
    text = workspace.config.text.model_dump() | changed(arguments.base)
    config = workspace.config.model_copy(update={"text": TextSettings.model_validate(text)})
    workspace = replace(workspace, config=config)
    compare(workspace, arguments.set, arguments.seeds, refresh=arguments.refresh)


if __name__ == "__main__":
    main()
