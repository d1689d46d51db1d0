"""Cold start by a simulated launch: how items rank that have no interactions yet.

A share of the items is launched as the test period begins. Every interaction with them is taken out
of the log, and so is every impression of them as an event, so that counters, co-visitation and
histories know nothing of them; the text model is trained on slates without them, in the mode of the
bundle, and so is the ranker. In the test they are candidates with their text, price and attributes,
and what users took of them is still the label.

A ranker whose every item has a past never learns what text is worth where behaviour is silent. So
a third as many items again are withheld from the log and from the text model in the same way, but
stay in the ranker's slates: it practises on them. The ranker without text practises on the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from data_contracts.errors import UsageError
from data_contracts.progress import Track, silent
from features.arrays.clock import NO_TIME
from features.log.log import Log
from recsys.bundle.bundle import FULL, NO_TEXT, TEXT_RECORD
from recsys.bundle.versions import open_version
from recsys.evaluation.evaluate import mean_over_bundles, result_of, scores_of
from recsys.evaluation.rankers import ranker_facts
from recsys.evaluation.result import LOGGED_ORDER, SAMPLED_ORDER, EvaluationResult
from recsys.evaluation.slices import slice_of, values_by_key
from recsys.ranker.ranker import Ranker
from recsys.text.settings import Mode
from recsys.text.training.model import TextRecord
from recsys.training.data import TrainingData
from recsys.training.rows import RankingRows
from recsys.training.scorers import fit_scorer
from recsys.training.text_model import TextRun, mode_of_training, train_text
from recsys.training.texts import encode_texts
from recsys.workspace.backfill import open_workspace_log
from recsys.workspace.config import CONFIG_NAME, read_config
from recsys.workspace.workspace import Workspace

COLD = "cold"
LAUNCHED = "launched items among themselves"
AGAINST_ALL = "launched items against all that was not chosen"
_PRACTICE = 1 / 3
_LEARNED = ("labels", "split", "features", "text", "ranker")
"""Parts of the configuration that decide what a bundle learned."""


@dataclass(frozen=True)
class Launch:
    """Which items are withheld.

    Attributes:
        launched: Unknown until the test, bool [n_items].
        practised: Withheld too, but among the ranker's candidates, bool [n_items].
    """

    launched: np.ndarray
    practised: np.ndarray

    @classmethod
    def draw(cls, item_ids: Sequence[str], share: float, seed: int = 0) -> "Launch":
        """Draw items at random, the same ones whatever their order.

        Args:
            item_ids: The items in the order of their codes.
            share: Of it that is launched; a third as many practise.
            seed: Of the draw.

        Returns:
            The items, none of them in both.

        Raises:
            UsageError: The share leaves nothing to launch or nothing to learn from.
        """
        n_items = len(item_ids)
        launched, practised = round(share * n_items), round(share * _PRACTICE * n_items)
        if not launched or launched + practised > n_items // 2:
            raise UsageError(
                f"a share of {share:g} of {n_items} items",
                "at least one item launched and at least half of them kept",
                "choose --share between 0.01 and 0.35",
            )
        by_name = np.argsort(np.array(item_ids, np.str_), kind="stable")
        places = np.empty(n_items, np.int64)
        places[by_name[np.random.default_rng(seed).permutation(n_items)]] = np.arange(n_items)
        return cls(places < launched, (places >= launched) & (places < launched + practised))

    @property
    def withheld(self) -> np.ndarray:
        """What the log knows nothing of, bool [n_items]."""
        return self.launched | self.practised

    @property
    def note(self) -> str:
        """Sentence for the report."""
        launched, practised = int(self.launched.sum()), int(self.practised.sum())
        return (
            f"Simulated launch of {launched:,} of {len(self.launched):,} items, which nobody had "
            f"met before the test; {practised:,} others were withheld for the ranker to practise "
            "on."
        )


def without(log: Log, withheld: np.ndarray) -> Log:
    """Take every event with some items, and when they were listed, out of a log.

    Args:
        log: The log.
        withheld: The items, bool [n_items].

    Returns:
        The log as if nobody had met them.
    """
    items = log.catalogue
    hidden = withheld[items.item_of_version]
    listed_at = np.where(hidden, NO_TIME, items.listed_at)
    return log.without(withheld, replace(items, listed_at=listed_at))


def evaluate_cold(
    workspace: Workspace, share: float, seeds: int, command: str, track: Track = silent
) -> EvaluationResult:
    """Launch a share of the items and see how they rank, with text and without.

    Args:
        workspace: The workspace; features of the log without the items go to a folder of its own.
        share: Of the catalogue that is launched.
        seeds: Text models and rankers to train; a request's value is the mean over them.
        command: The command that makes this result again.
        track: Shows progress.

    Returns:
        Values per model and metric among the launched items and against all others.

    Raises:
        UsageError: The share is too small or too large, or a bundle has other settings.
    """
    full_log = open_workspace_log(workspace)
    launch = Launch.draw(full_log.catalogue.item_ids, share)
    log, apart = without(full_log, launch.withheld), workspace.cold(share)
    data = TrainingData(apart, log, encode_texts(workspace, log.catalogue, track))
    modes = [_mode(data, seed) for seed in range(seeds)]
    data.compute_features(track)
    collected, rankers = [], []
    for seed, mode in enumerate(modes):
        test, full, no_text = _trained(data, launch, TextRun(seed, mode), track)
        launched = test.slates.of_items(launch.launched)
        slices = [
            slice_of(LAUNCHED, test, launched),
            slice_of(AGAINST_ALL, test, launched | (test.slates.grade == 0)),
        ]
        scores = scores_of(data.config, test, full, no_text)
        del scores[SAMPLED_ORDER if data.config.slate_source == "sampled" else LOGGED_ORDER]
        collected.append(values_by_key(test, slices, scores, data.config.labels.label_gain))
        rankers.append((full, no_text))
    result = result_of(workspace.config, test, slices, mean_over_bundles(collected), command)
    return result.model_copy(
        update={
            "note": " ".join(filter(None, (workspace.config.note, launch.note))),
            "bundle": "trained for this evaluation without the launched items; text model in mode "
            + ", ".join(dict.fromkeys(modes)),
            "rankers": ranker_facts(rankers),
        }
    )


def _mode(data: TrainingData, seed: int) -> Mode:
    """Say in which mode a seed's text model is trained: its bundle's, or what one would get."""
    folder, config = data.workspace.bundle(seed), data.config
    if not folder.exists():
        return mode_of_training(data, seed)
    model = open_version(folder).model
    trained = read_config(model / CONFIG_NAME)
    others = [part for part in _LEARNED if getattr(trained, part) != getattr(config, part)]
    if others:
        raise UsageError(
            f"bundle {folder}, which was trained with another [{'], ['.join(others)}]",
            "one trained with recsys.toml as it is, so that a launch is judged as it would be",
            "train it again: `recsys train`",
        )
    return TextRecord.model_validate_json((model / TEXT_RECORD).read_bytes()).mode


def _trained(
    data: TrainingData, launch: Launch, run: TextRun, track: Track
) -> tuple[RankingRows, Ranker, Ranker]:
    """Train text model and rankers on a log without the items; give the test and the rankers."""
    periods = data.config.periods
    text = train_text(data, periods.text, run, track, launch.withheld)
    data = data.encoded_by(text.encoder, track)
    signals = data.signals(text.model)
    ranker, validation, test = (
        data.rows(signals, text.record.trained_until, period, track)
        for period in (periods.ranker, periods.validation, periods.test)
    )
    learned, stopping = (
        rows.only(~rows.slates.of_items(launch.launched)) for rows in (ranker, validation)
    )
    full, no_text = (
        fit_scorer(data.config, learned, stopping, part, run.seed).ranker
        for part in track((FULL, NO_TEXT), "Training rankers", 2)
    )
    return test, full, no_text
