"""A simulated launch: how items rank that nobody has met.

A share of the items is launched as the test period begins. Every interaction with them is taken out
of the log, so that counters, co-visitation and histories know nothing of them; the text model is
trained on slates without them, and so is the ranker. In the test they stand among the others with
their text, price and attributes, and what users took of them is still the label.

A ranker whose every item has a past never learns what text is worth where behaviour is silent. So
a third as many items again are withheld from the log and from the text model in the same way, but
stay in the ranker's slates: it practises on them. The ranker without text practises on the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from data_contracts.errors import UsageError
from data_contracts.events import Impressions
from data_contracts.progress import Track, silent
from features.arrays.clock import NO_TIME
from features.counter_spec import ITEM
from features.log.events import IMPRESSION
from features.log.log import Log
from recsys.bundle.bundle import FULL, NO_TEXT
from recsys.evaluation.result import (
    BEHAVIOUR_ONLY,
    POPULARITY,
    RANDOM,
    TEXT_AND_BEHAVIOUR,
    TEXT_ONLY,
    EvaluationResult,
)
from recsys.evaluation.slices import clusters_of, estimates_of, slice_of, values_by_key
from recsys.labels.split import periods
from recsys.text.signals import TextSignals
from recsys.text.training.loop import Run, finetune
from recsys.text.training.text_source import FrozenSource
from recsys.training.rows import RankingRows, ranking_rows
from recsys.training.scorers import fit_scorer
from recsys.training.slates import read_slates
from recsys.training.texts import Texts, encode_texts
from recsys.training.train import signals_of
from recsys.workspace.backfill import open_workspace_log, run_backfill
from recsys.workspace.config import TableSettings
from recsys.workspace.feature_sets import EvaluationColumns, features_of
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


@dataclass(frozen=True)
class _World:
    """The workspace in which the launch has not happened yet."""

    workspace: Workspace
    log: Log
    texts: Texts
    launch: Launch

    def rows_of(self, rows: RankingRows, items: np.ndarray) -> np.ndarray:
        """Tell which rows are of some items, bool [n_rows]."""
        item = rows.slates.rows.item
        return (item >= 0) & items[np.maximum(item, 0)]


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
    apart = _apart(workspace, share)
    log = without(full_log, launch.withheld)
    run_backfill(apart, log, track=track)
    world = _World(apart, log, encode_texts(workspace, track), launch)
    collected: dict[str, list[np.ndarray]] = {}
    for seed in range(seeds):
        test, scores = _ranked(world, seed, track)
        launched = world.rows_of(test, launch.launched)
        slices = [
            slice_of(LAUNCHED, test, launched),
            slice_of(AGAINST_ALL, test, launched | (test.slates.grade == 0)),
        ]
        values = values_by_key(test, slices, scores, workspace.config.labels.label_gain)
        for key, per_request in values.items():
            collected.setdefault(key, []).append(per_request)
    columns = {key: np.mean(found, axis=0) for key, found in collected.items()}
    return _result(workspace, test, columns, launch, command)


def _apart(workspace: Workspace, share: float) -> Workspace:
    """Give the same tables a folder of their own for features."""
    places = {table: workspace.location(table) for table in TABLES}
    absolute = {
        table: place if "://" in place else str(workspace.root.resolve() / place)
        for table, place in places.items()
    }
    config = workspace.config.model_copy(update={"tables": TableSettings(**absolute)})
    return Workspace(workspace.root / COLD / f"share-{share:g}", config)


def _ranked(world: _World, seed: int, track: Track) -> tuple[RankingRows, dict[str, np.ndarray]]:
    """Train text model and rankers on a log without the items, and score the test."""
    config = world.workspace.config
    split = periods(config.split, config.labels.attribution_window_hours)
    signals, trained_until = _text_model(world, seed, track)
    parts = {}
    for name in ("ranker", "validation", "test"):
        rows = ranking_rows(
            world.workspace,
            world.log,
            world.texts,
            signals,
            trained_until,
            getattr(split, name),
            track,
        )
        parts[name] = _never_shown(world, rows)
    learnt, stopping = (
        parts[name].only(~world.rows_of(parts[name], world.launch.launched))
        for name in ("ranker", "validation")
    )
    full, no_text = (
        fit_scorer(world.workspace, learnt, stopping, part, seed).ranker
        for part in track((FULL, NO_TEXT), "Training rankers", 2)
    )
    test = parts["test"]
    match = test.match.astype(np.float64)
    popularity = test.evaluation[EvaluationColumns.of(config).popularity.name].astype(np.float64)
    return test, {
        RANDOM: np.random.default_rng(0).random(len(match)),
        POPULARITY: np.where(np.isnan(popularity), -np.inf, popularity),
        TEXT_ONLY: np.where(np.isnan(match), -np.inf, match),
        BEHAVIOUR_ONLY: no_text.score(test.matrix),
        TEXT_AND_BEHAVIOUR: full.score(test.for_ranker(with_text=True).matrix),
    }


def _text_model(world: _World, seed: int, track: Track) -> tuple[TextSignals, int]:
    config, log = world.workspace.config, world.log
    period = periods(config.split, config.labels.attribution_window_hours).text
    slates = read_slates(
        world.workspace, log, world.texts.queries, period, config.text.training_history
    ).slates
    item = slates.rows.item
    known = (item < 0) | ~world.launch.withheld[np.maximum(item, 0)]
    training = finetune(
        slates.only(known),
        FrozenSource(world.texts.vectors),
        config.labels.label_gain,
        len(log.kinds),
        config.text,
        Run(seed),
        track,
    )
    signals = signals_of(training.model, world.texts.vectors.items, config.text)
    return signals, training.trained_until


def _never_shown(world: _World, rows: RankingRows) -> RankingRows:
    """Blank what features count of the withheld items' impressions, which the log still has."""
    features = features_of(world.workspace.config).features
    counted = [
        place
        for place, feature in enumerate(features)
        if any(spec.kind == IMPRESSION and ITEM in spec.key for spec in feature.needs())
    ]
    matrix = rows.matrix.copy()
    blanked = world.rows_of(rows, world.launch.withheld)
    matrix[np.ix_(blanked, np.array(counted, np.int64))] = np.nan
    return replace(rows, matrix=matrix)


def _result(
    workspace: Workspace,
    test: RankingRows,
    columns: Mapping[str, np.ndarray],
    launch: Launch,
    command: str,
) -> EvaluationResult:
    config = workspace.config
    values, differences = estimates_of(columns, clusters_of(test))
    period = periods(config.split, config.labels.attribution_window_hours).test
    times = test.requests.frame[Impressions.timestamp.name]
    users = test.slates.rows.request_user
    launched, practised = int(launch.launched.sum()), int(launch.practised.sum())
    note = (
        f"Simulated launch of {launched:,} of {len(launch.launched):,} items, which nobody had met "
        f"before the test; {practised:,} others were withheld for the ranker to practise on."
    )
    return EvaluationResult(
        data_name=config.name,
        data_origin=config.data_origin,
        slate_source=config.slate_source,
        note=" ".join(filter(None, (config.note, note))),
        bundle="trained for this evaluation without the launched items",
        command=command,
        test_start=period.start or times[0],
        test_end=period.end or times[-1],
        n_requests=len(test.slates),
        n_users=len(np.unique(users[users >= 0])),
        values=tuple(values),
        differences=tuple(differences),
    )
