"""Evaluation of one or several bundles on the test period."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_contracts.errors import UsageError
from data_contracts.events import Impressions
from data_contracts.progress import Track, silent
from features.kinds.base import Feature
from features.log.log import Log
from recsys.bundle.bundle import Bundle, load_bundle
from recsys.evaluation.result import (
    BEHAVIOUR_ONLY,
    LOGGED_ORDER,
    POPULARITY,
    RANDOM,
    SAMPLED_ORDER,
    TEXT_AND_BEHAVIOUR,
    TEXT_ONLY,
    Difference,
    EvaluationResult,
)
from recsys.evaluation.slices import (
    Slice,
    clusters_of,
    estimates_of,
    slice_of,
    text_gain,
    values_by_key,
)
from recsys.labels.split import periods
from recsys.metrics.calibration import calibration_bins
from recsys.metrics.intervals import bootstrap_means
from recsys.metrics.ranking import NDCG_AT_10
from recsys.text.encoder.bert import TextEncoder
from recsys.training.rows import RankingRows, ranking_rows
from recsys.training.texts import Texts, encode_texts, texts_of
from recsys.workspace.feature_sets import EvaluationColumns, features_of
from recsys.workspace.workspace import Workspace

ALL = "all"
NEW_TO_USER = "items new to the user"
NEW_ITEMS = "items under 30 days old"
"""Items whose first interaction is less than 30 days old, or still to come."""
NEW_USERS = "users with at most 2 visits"

_READS = ("encoder", "template", "limits", "max_tokens")
"""Settings of [text] that decide what the encoder reads of an item."""

_HISTORIES = ((0, 0, "none"), (1, 5, "1 to 5"), (6, 20, "6 to 20"), (21, None, "21 and more"))


def evaluate(
    workspace: Workspace,
    log: Log,
    bundles: Sequence[Path],
    command: str,
    track: Track = silent,
) -> EvaluationResult:
    """Compare the bundles' rankers with simpler orders on the test period.

    With several bundles, trained from several seeds, each request's value is the mean over the
    bundles, so that the interval is over users and not over luck in training.

    Args:
        workspace: The workspace, its features computed.
        log: The same, opened.
        bundles: Folders of bundles that were trained on this workspace.
        command: The command that makes this result again.
        track: Shows progress.

    Returns:
        Values per model, metric and slice, paired differences, and the calibration.

    Raises:
        UsageError: A bundle was trained on another workspace or from other features.
    """
    config = workspace.config
    if not bundles:
        raise UsageError("no bundle", "at least one bundle", "name the bundles to evaluate")
    loaded = [load_bundle(folder) for folder in bundles]
    for bundle in loaded:
        _require_same_workspace(bundle, workspace)
    found = _measure(workspace, log, loaded, track)
    rows = found.rows
    clusters = clusters_of(rows)
    values, differences = estimates_of(found.columns, clusters)
    period = periods(config.split, config.labels.attribution_window_hours).test
    times = rows.requests.frame[Impressions.timestamp.name]
    users = rows.slates.rows.request_user
    return EvaluationResult(
        data_name=config.name,
        data_origin=config.data_origin,
        slate_source=config.slate_source,
        note=config.note,
        bundle=", ".join(bundle.fingerprint for bundle in loaded),
        command=command,
        test_start=period.start or times[0],
        test_end=period.end or times[-1],
        n_requests=len(rows.slates),
        n_users=len(np.unique(users[users >= 0])),
        n_guests=int((users < 0).sum()),
        values=tuple(values),
        differences=tuple(differences),
        calibration=tuple(calibration_bins(found.p_click, rows.slates.grade > 0)),
        gain_by_history=tuple(_gain_by_history(found.columns, rows, clusters)),
    )


@dataclass(frozen=True)
class _Measured:
    """What the bundles did on the test period.

    Attributes:
        rows: The test period; its text columns are the last bundle's.
        columns: Per slice, model and metric, float64 [n_requests], the mean over the bundles.
        p_click: float64 [n_rows], the mean over the bundles.
    """

    rows: RankingRows
    columns: Mapping[str, np.ndarray]
    p_click: np.ndarray


def _measure(workspace: Workspace, log: Log, bundles: Sequence[Bundle], track: Track) -> _Measured:
    texts = encode_texts(workspace, track)
    collected: dict[str, list[np.ndarray]] = {}
    p_click: list[np.ndarray] = []
    for bundle in bundles:
        rows = _test_rows(workspace, log, texts, bundle, track)
        scores = _scores(workspace, rows, bundle)
        p_click.append(bundle.full.calibration.probability(scores[TEXT_AND_BEHAVIOUR]))
        slices = _slices(workspace, rows)
        values = values_by_key(rows, slices, scores, workspace.config.labels.label_gain)
        for key, per_request in values.items():
            collected.setdefault(key, []).append(per_request)
    columns = {name: np.mean(found, axis=0) for name, found in collected.items()}
    return _Measured(rows, columns, np.mean(p_click, axis=0))


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


def _test_rows(
    workspace: Workspace, log: Log, texts: Texts, bundle: Bundle, track: Track
) -> RankingRows:
    if bundle.manifest.encoder_fingerprint != texts.backend.fingerprint:
        max_tokens, device = bundle.config.text.max_tokens, workspace.config.encoding.device
        tuned = TextEncoder.load(bundle.encoder_folder, max_tokens=max_tokens, device=device)
        texts = texts_of(workspace, texts, tuned, track)
    if bundle.manifest.encoder_fingerprint != texts.backend.fingerprint:
        raise UsageError(
            f"encoder {bundle.manifest.encoder_fingerprint} in {bundle.folder}",
            f"encoder {texts.backend.fingerprint}, as [text] and [encoding] in recsys.toml ask for",
            "train the bundle again",
        )
    config = workspace.config
    period = periods(config.split, config.labels.attribution_window_hours).test
    trained_until = int(bundle.manifest.cut_offs.validation_until.timestamp() * 1e6)
    return ranking_rows(workspace, log, texts, bundle.signals, trained_until, period, track)


def _scores(workspace: Workspace, rows: RankingRows, bundle: Bundle) -> dict[str, np.ndarray]:
    """Give each model's scores, float64 [n_rows]; -inf where a model has nothing to say."""
    count = len(rows.slates.rows)
    columns = EvaluationColumns.of(workspace.config)
    logged = workspace.config.slate_source == "logged"
    position = rows.requests.frame[Impressions.position.name].to_numpy()
    match = rows.match.astype(np.float64)
    full = rows.for_ranker(with_text=True).matrix
    return {
        RANDOM: np.random.default_rng(0).random(count),
        POPULARITY: _column(rows, columns.popularity),
        LOGGED_ORDER if logged else SAMPLED_ORDER: -position.astype(np.float64),
        TEXT_ONLY: np.where(np.isnan(match), -np.inf, match),
        BEHAVIOUR_ONLY: bundle.no_text.ranker.score(rows.matrix),
        TEXT_AND_BEHAVIOUR: bundle.full.ranker.score(full),
    }


def _column(rows: RankingRows, feature: Feature) -> np.ndarray:
    values = rows.evaluation[feature.name].astype(np.float64)
    return np.where(np.isnan(values), -np.inf, values)


def _slices(workspace: Workspace, rows: RankingRows) -> list[Slice]:
    columns = EvaluationColumns.of(workspace.config)
    everything = np.ones(len(rows.matrix), bool)
    taken = _column(rows, columns.taken)
    first_seen = _column(rows, columns.first_seen)
    visits = _column(rows, columns.visits)
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
    columns: Mapping[str, np.ndarray], rows: RankingRows, clusters: np.ndarray
) -> list[Difference]:
    """Give what text adds to nDCG@10 by the number of interactions in the user's history."""
    both, behaviour = (
        columns[f"{ALL}\n{model}\n{NDCG_AT_10}"] for model in (TEXT_AND_BEHAVIOUR, BEHAVIOUR_ONLY)
    )
    length = (rows.slates.history.item >= 0).sum(axis=1)
    names, gains = [], []
    for low, high, name in _HISTORIES:
        inside = (length >= low) & (length <= (high if high is not None else length.max(initial=0)))
        if inside.any():
            names.append(name)
            gains.append(np.where(inside, both - behaviour, np.nan))
    estimates = bootstrap_means(np.stack(gains, axis=1), clusters)
    return [
        text_gain(name, NDCG_AT_10, estimate)
        for name, estimate in zip(names, estimates, strict=True)
    ]
