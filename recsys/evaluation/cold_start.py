"""Cold start by a simulated launch: how items rank that have no interactions yet.

A share of the items is launched as the test period begins. Every interaction with them is taken out
of the log, so that counters, co-visitation and histories know nothing of them; the text model is
trained on slates without them, and so is the ranker. In the test they are candidates with
their text, price and attributes, and what users took of them is still the label.

A ranker whose every item has a past never learns what text is worth where behaviour is silent. So
a third as many items again are withheld from the log and from the text model in the same way, but
stay in the ranker's slates: it practises on them. The ranker without text practises on the same.
"""

from dataclasses import dataclass, replace

import numpy as np

from data_contracts.errors import UsageError
from data_contracts.progress import Track, silent
from features.arrays.clock import NO_TIME
from features.counter_spec import ITEM
from features.log.events import IMPRESSION
from features.log.log import Log
from recsys.bundle.bundle import FULL, NO_TEXT
from recsys.evaluation.evaluate import mean_over_bundles, result_of, scores_of
from recsys.evaluation.result import LOGGED_ORDER, SAMPLED_ORDER, EvaluationResult
from recsys.evaluation.slices import slice_of, values_by_key
from recsys.labels.slates import LabelledSlates
from recsys.text.signals import TextSignals
from recsys.text.training.loop import Run, finetune
from recsys.text.training.text_source import FrozenSource
from recsys.training.data import TrainingData
from recsys.training.rows import RankingRows
from recsys.training.scorers import fit_scorer
from recsys.training.texts import encode_texts
from recsys.workspace.backfill import open_workspace_log
from recsys.workspace.config import TableSettings, WorkspaceConfig
from recsys.workspace.feature_sets import features_of
from recsys.workspace.workspace import TABLES, Workspace

COLD = "cold"
LAUNCHED = "launched items among themselves"
AGAINST_ALL = "launched items against all that was not chosen"
_PRACTICE = 1 / 3


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
    def draw(cls, n_items: int, share: float, seed: int = 0) -> "Launch":
        """Draw items at random.

        Args:
            n_items: Size of the catalogue.
            share: Of it that is launched; a third as many practise.
            seed: Of the draw.

        Returns:
            The items, none of them in both.

        Raises:
            UsageError: The share leaves nothing to launch or nothing to learn from.
        """
        launched, practised = round(share * n_items), round(share * _PRACTICE * n_items)
        if not launched or launched + practised > n_items // 2:
            raise UsageError(
                f"a share of {share:g} of {n_items} items",
                "at least one item launched and at least half of them kept",
                "choose --share between 0.01 and 0.35",
            )
        order = np.random.default_rng(seed).permutation(n_items)
        places = np.empty(n_items, np.int64)
        places[order] = np.arange(n_items)
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
    """Take every interaction with some items, and when they were listed, out of a log.

    Args:
        log: The log.
        withheld: The items, bool [n_items].

    Returns:
        The log as if nobody had met them.
    """
    catalogue = replace(
        log.catalogue, listed_at=np.where(withheld, NO_TIME, log.catalogue.listed_at)
    )
    return log.without(withheld, catalogue)


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
        UsageError: The share is too small or too large.
    """
    full_log = open_workspace_log(workspace)
    launch = Launch.draw(len(full_log.catalogue), share)
    log, apart = without(full_log, launch.withheld), _apart(workspace, share)
    data = TrainingData(apart, log, encode_texts(workspace, track))
    data.compute_features(track)
    collected = []
    for seed in range(seeds):
        test, scores = _ranked(data, launch, seed, track)
        launched = _of_items(test.slates, launch.launched)
        slices = [
            slice_of(LAUNCHED, test, launched),
            slice_of(AGAINST_ALL, test, launched | (test.slates.grade == 0)),
        ]
        collected.append(values_by_key(test, slices, scores, data.config.labels.label_gain))
    result = result_of(workspace.config, test, mean_over_bundles(collected), command)
    note = " ".join(filter(None, (workspace.config.note, launch.note)))
    bundle = "trained for this evaluation without the launched items"
    return result.model_copy(update={"note": note, "bundle": bundle})


def _apart(workspace: Workspace, share: float) -> Workspace:
    """Give the same tables a folder of their own for features."""
    places = {table: workspace.location(table) for table in TABLES}
    absolute = {
        table: place if "://" in place else str(workspace.root.resolve() / place)
        for table, place in places.items()
    }
    config = workspace.config.model_copy(update={"tables": TableSettings(**absolute)})
    return Workspace(workspace.cold(share), config)


def _of_items(slates: LabelledSlates, items: np.ndarray) -> np.ndarray:
    """Tell which rows are of some items, given as bool [n_items]; bool [n_rows]."""
    item = slates.rows.item
    return (item >= 0) & items[np.maximum(item, 0)]


def _ranked(
    data: TrainingData, launch: Launch, seed: int, track: Track
) -> tuple[RankingRows, dict[str, np.ndarray]]:
    """Train text model and rankers on a log without the items, and score the test."""
    config = data.config
    signals, trained_until = _text_model(data, launch, seed, track)
    periods = config.periods
    ranker, validation, test = (
        _never_shown(config, data.rows(signals, trained_until, period, track), launch)
        for period in (periods.ranker, periods.validation, periods.test)
    )
    learned, stopping = (
        rows.only(~_of_items(rows.slates, launch.launched)) for rows in (ranker, validation)
    )
    full, no_text = (
        fit_scorer(config, learned, stopping, part, seed).ranker
        for part in track((FULL, NO_TEXT), "Training rankers", 2)
    )
    scores = scores_of(config, test, full, no_text)
    order = SAMPLED_ORDER if config.slate_source == "sampled" else LOGGED_ORDER
    return test, {model: score for model, score in scores.items() if model != order}


def _text_model(
    data: TrainingData, launch: Launch, seed: int, track: Track
) -> tuple[TextSignals, int]:
    config = data.config
    slates = data.slates(config.periods.text, config.text.training_history).slates
    training = finetune(
        slates.only(~_of_items(slates, launch.withheld)),
        FrozenSource(data.texts.vectors),
        config.labels.label_gain,
        len(data.log.kinds),
        config.text,
        Run(seed),
        track,
    )
    return data.signals(training.model), training.trained_until


def _never_shown(config: WorkspaceConfig, rows: RankingRows, launch: Launch) -> RankingRows:
    """Blank what features count of the withheld items' impressions, which the log still has."""
    counted = [
        place
        for place, feature in enumerate(features_of(config).features)
        if any(spec.kind == IMPRESSION and ITEM in spec.key for spec in feature.needs())
    ]
    matrix = rows.matrix.copy()
    blanked = _of_items(rows.slates, launch.withheld)
    matrix[np.ix_(blanked, np.array(counted, np.int64))] = np.nan
    return replace(rows, matrix=matrix)
