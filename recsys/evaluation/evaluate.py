"""Evaluation of one or several bundles on the test period."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from data_contracts.errors import UsageError
from data_contracts.events import Impressions
from data_contracts.progress import Track, silent
from features.kinds.base import Feature
from recsys.bundle.bundle import Bundle, load_bundle
from recsys.evaluation.rankers import ranker_facts
from recsys.evaluation.result import (
    ALL,
    BEHAVIOUR_ONLY,
    LOGGED_ORDER,
    POPULARITY,
    POPULARITY_RATE,
    RANDOM,
    SAMPLED_ORDER,
    TEXT_AND_BEHAVIOUR,
    TEXT_ONLY,
    Difference,
    EvaluatedVersion,
    EvaluationResult,
)
from recsys.evaluation.slices import (
    MetricKey,
    Slice,
    clusters_of,
    estimates_of,
    sizes_of,
    slice_of,
    text_gain,
    values_by_key,
)
from recsys.labels.slates import LabelledSlates
from recsys.metrics.calibration import calibration_bins, log_loss
from recsys.metrics.intervals import bootstrap_means
from recsys.metrics.ranking import NDCG_AT_10
from recsys.ranker.codes import KnownCodes
from recsys.ranker.ranker import Ranker
from recsys.text.encoder.bert import TextEncoder
from recsys.training.data import TrainingData
from recsys.training.rows import RankingRows
from recsys.workspace.config import WorkspaceConfig
from recsys.workspace.feature_sets import EvaluationColumns, features_of
from recsys.workspace.workspace import Workspace

NEW_TO_USER = "items new to the user"
NEW_ITEMS = "items under 30 days old"
"""Items whose first strongest interaction is less than 30 days old, or still to come."""
NEW_USERS = "users with at most 2 visits"
"""Without guests, of whom nobody knows how often they came. A visit is what the kind `session`
counts: a user's session on one UTC day, or all of a user's day without a session."""

_READS = ("encoder", "template", "limits", "max_tokens")
"""Settings of [text] that decide what the encoder reads of an item."""

_HISTORIES = ((0, 0, "none"), (1, 5, "1 to 5"), (6, 20, "6 to 20"), (21, None, "21 and more"))


def evaluate(
    data: TrainingData, bundles: Sequence[Path], command: str, track: Track = silent
) -> EvaluationResult:
    """Compare the bundles' rankers with simpler orders on the test period.

    With several bundles, trained from several seeds, each request's value is the mean over the
    bundles, so that the interval is over users and not over luck in training.

    Args:
        data: The workspace's data, its features computed.
        bundles: Bundles that were trained on this workspace, or versions of them.
        command: The command that makes this result again.
        track: Shows progress.

    Returns:
        Values per model, metric and slice, paired differences, and the calibration.

    Raises:
        UsageError: A bundle was trained on another workspace or from other features.
    """
    if not bundles:
        raise UsageError("no bundle", "at least one bundle", "name the bundles to evaluate")
    loaded = [load_bundle(folder) for folder in bundles]
    for bundle in loaded:
        _require_same_workspace(bundle, data.workspace)
    collected: list[Mapping[MetricKey, np.ndarray]] = []
    told: list[np.ndarray] = []
    unseen_values = 0
    for bundle in loaded:
        rows, unseen = _test_rows(data, bundle, track)
        unseen_values = max(unseen_values, unseen)
        scores = scores_of(data.config, rows, bundle.full.ranker, bundle.no_text.ranker)
        if bundle.full.calibration is not None:
            whole = rows.for_ranker(with_text=True)
            told.append(
                bundle.full.calibration.probability(
                    scores[TEXT_AND_BEHAVIOUR], whole.matrix, whole.sizes
                )
            )
        slices = slices_of(data.config, rows)
        collected.append(values_by_key(rows, slices, scores, data.config.labels.label_gain))
    columns = mean_over_bundles(collected)
    versions = tuple(
        EvaluatedVersion(
            bundle=bundle.name, version=bundle.version.name, fingerprint=bundle.fingerprint
        )
        for bundle in loaded
    )
    result = result_of(data.config, rows, slices, columns, command)
    slates, asked = rows.slates, rows.slates.rows
    version = data.log.catalogue.versions(asked.item, asked.time)
    return result.model_copy(
        update={
            "n_versions": len(np.unique(version[version >= 0])),
            "share_unknown": float(np.average(version < 0, weights=slates.weight)),
            "unseen_values": unseen_values,
            "bundle": ", ".join(map(str, versions)),
            "versions": versions,
            "gain_by_history": tuple(_gain_by_history(columns, rows)),
            "rankers": ranker_facts(
                [(bundle.full.ranker, bundle.no_text.ranker) for bundle in loaded]
            ),
            **_probabilities(told, slates),
        }
    )


def _probabilities(told: Sequence[np.ndarray], slates: LabelledSlates) -> dict[str, object]:
    """Compare the bundles' mean `p_click` with what happened; nothing where none is told."""
    if not told:
        return {}
    mean, positive = np.mean(told, axis=0), slates.grade > 0
    weights = slates.weight if slates.aggregated else None
    return {
        "calibration": tuple(calibration_bins(mean, positive, weights=weights)),
        "log_loss": log_loss(mean, positive, weights),
    }


def mean_over_bundles(
    values: Sequence[Mapping[MetricKey, np.ndarray]],
) -> dict[MetricKey, np.ndarray]:
    """Average each request's values over bundles; float64 [n_requests] by metric."""
    return {key: np.mean([each[key] for each in values], axis=0) for key in values[0]}


def result_of(
    config: WorkspaceConfig,
    rows: RankingRows,
    slices: Sequence[Slice],
    columns: Mapping[MetricKey, np.ndarray],
    command: str,
) -> EvaluationResult:
    """Put the result of a test period together, apart from what only a bundle can say.

    Args:
        config: Settings of the workspace.
        rows: The test period.
        slices: What was looked at of it.
        columns: Values per request, by metric.
        command: The command that makes the result again.

    Returns:
        The result, without a bundle, its rankers, calibration and gains by history.
    """
    slates, weights = rows.slates, rows.slates.request_weight
    values, differences = estimates_of(columns, clusters_of(rows), weights)
    times = rows.requests.frame[Impressions.timestamp.name]
    users = slates.rows.request_user
    period = rows.requests.period
    return EvaluationResult(
        data_name=config.name,
        data_origin=config.data_origin,
        slate_source=config.slate_source,
        note=config.note,
        bundle="",
        command=command,
        test_start=period.start or times[0],
        test_end=period.end or times[-1],
        n_requests=len(slates),
        showings=float(weights.sum()) if slates.aggregated else None,
        n_users=len(np.unique(users[users >= 0])),
        n_guests=int((users < 0).sum()),
        share_with_text=float(np.average(~np.isnan(rows.match), weights=slates.weight)),
        sizes=tuple(sizes_of(rows, slices, config.labels.label_gain)),
        values=tuple(values),
        differences=tuple(differences),
    )


def _require_same_workspace(bundle: Bundle, workspace: Workspace) -> None:
    expected = features_of(workspace.config).schema_hash
    found = bundle.manifest
    if found.data != workspace.config.name or found.schema_hash != expected:
        raise UsageError(
            f"bundle {bundle.folder} of {found.data} with feature schema {found.schema_hash}",
            f"a bundle of {workspace.config.name} with feature schema {expected}",
            "train it on this workspace: `recsys train`",
        )
    read, asked = bundle.config.text, workspace.config.text
    others = [name for name in _READS if getattr(read, name) != getattr(asked, name)]
    if others:
        raise UsageError(
            f"bundle {bundle.folder}, which reads texts with another {' and '.join(others)}",
            "one that reads them as [text] in recsys.toml says",
            "train it on this workspace: `recsys train`",
        )


def _test_rows(data: TrainingData, bundle: Bundle, track: Track) -> tuple[RankingRows, int]:
    """Give the test as a bundle reads it, and how many values of attributes it has not seen."""
    manifest, encoding = bundle.manifest, data.config.encoding
    if manifest.encoder_fingerprint != data.texts.backend.fingerprint:
        max_tokens = bundle.config.text.max_tokens
        folder, device = bundle.encoder_folder, encoding.device
        tuned = TextEncoder.load(folder, max_tokens=max_tokens, device=device)
        data = data.encoded_by(tuned, track)
    if manifest.encoder_fingerprint != data.texts.backend.fingerprint:
        raise UsageError(
            f"encoder {manifest.encoder_fingerprint} in {bundle.folder}",
            f"encoder {data.texts.backend.fingerprint}, as [text] and [encoding] in recsys.toml "
            "ask for",
            "train the bundle again",
        )
    trained_until = int(manifest.cut_offs.validation_until.timestamp() * 1e6)
    signals = data.signals_of(bundle.signals)
    rows = data.rows(signals, trained_until, data.config.periods.test, track)
    values = data.log.catalogue.values
    codes = KnownCodes.of(features_of(data.config), bundle.learned, values)
    matrix, unseen = codes.read(rows.matrix)
    return replace(rows, matrix=matrix), unseen


def scores_of(
    config: WorkspaceConfig, rows: RankingRows, full: Ranker, no_text: Ranker
) -> dict[str, np.ndarray]:
    """Score the rows by both rankers and by simpler orders.

    Args:
        config: Settings of the workspace.
        rows: The rows.
        full: The ranker with text.
        no_text: The ranker without.

    Returns:
        float64 [n_rows] by model, higher is better; -inf where a model has no value for a row.
    """
    columns = EvaluationColumns.of(config)
    order = LOGGED_ORDER if config.slate_source == "logged" else SAMPLED_ORDER
    position = rows.requests.frame[Impressions.position.name].to_numpy()
    match = rows.match.astype(np.float64)
    rate = columns.popularity_rate
    return {
        RANDOM: np.random.default_rng(0).random(len(match)),
        POPULARITY: _column(rows, columns.popularity),
        **({} if rate is None else {POPULARITY_RATE: _column(rows, rate)}),
        order: -position.astype(np.float64),
        TEXT_ONLY: np.where(np.isnan(match), -np.inf, match),
        BEHAVIOUR_ONLY: no_text.score(rows.matrix),
        TEXT_AND_BEHAVIOUR: full.score(rows.for_ranker(with_text=True).matrix),
    }


def _column(rows: RankingRows, feature: Feature) -> np.ndarray:
    values = rows.evaluation[feature.name].astype(np.float64)
    return np.where(np.isnan(values), -np.inf, values)


def slices_of(config: WorkspaceConfig, rows: RankingRows) -> list[Slice]:
    """Cut the test: all of it, and where little is known of the item, the user, or the two."""
    columns = EvaluationColumns.of(config)
    everything = np.ones(len(rows.matrix), bool)
    taken = _column(rows, columns.taken)
    first_seen = _column(rows, columns.first_seen)
    visits = rows.evaluation[columns.visits.name]
    return [
        slice_of(name, rows, kept)
        for name, kept in (
            (ALL, everything),
            (NEW_TO_USER, taken <= 0),
            (NEW_ITEMS, first_seen < 30),
            (NEW_USERS, visits <= 2),
        )
    ]


def _gain_by_history(
    columns: Mapping[MetricKey, np.ndarray], rows: RankingRows
) -> list[Difference]:
    """Give what text adds to nDCG@10 by the number of interactions in the user's history."""
    both, behaviour = (
        columns[MetricKey(ALL, model, NDCG_AT_10)] for model in (TEXT_AND_BEHAVIOUR, BEHAVIOUR_ONLY)
    )
    length = rows.slates.history.lengths
    names, gains = [], []
    for low, high, name in _HISTORIES:
        inside = (length >= low) & (length <= (high if high is not None else length.max(initial=0)))
        if inside.any():
            names.append(name)
            gains.append(np.where(inside, both - behaviour, np.nan))
    weights = rows.slates.request_weight
    estimates = bootstrap_means(np.stack(gains, axis=1), clusters_of(rows), weights=weights)
    return [
        text_gain(name, NDCG_AT_10, estimate)
        for name, estimate in zip(names, estimates, strict=True)
    ]
