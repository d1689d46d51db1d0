"""Training from a workspace to a bundle: features, text model, rankers, calibration."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from data_contracts.progress import Track, silent
from features.arrays.clock import DAY
from recsys.bundle.bundle import FULL, NO_TEXT
from recsys.bundle.manifest import (
    FORMAT,
    STATE_FORMAT,
    CutOffs,
    Manifest,
    StateManifest,
    library_versions,
)
from recsys.bundle.write import BundleParts, write_bundle
from recsys.text.training.model import TextModel
from recsys.training.data import TrainingData
from recsys.training.rows import RankingRows
from recsys.training.scorers import FittedScorer, fit_scorer
from recsys.training.text_model import text_model
from recsys.workspace.feature_sets import features_of


def train(data: TrainingData, *, seed: int = 0, track: Track = silent) -> Path:
    """Train the bundle of a seed: a new version, which the bundle means once it is whole.

    Args:
        data: The workspace's data, with the vectors of the frozen encoder.
        seed: Seeds the text model and the rankers.
        track: Shows progress.

    Returns:
        The version's folder; versions that were there stay as they are.
    """
    data.compute_features(track)
    text = text_model(data, seed, track)
    data = data.encoded_by(text.encoder, track)
    signals = data.signals(text.model)
    periods = data.config.periods
    ranker, validation = (
        data.rows(signals, text.record.trained_until, period, track)
        for period in (periods.ranker, periods.validation)
    )
    scorers = {
        part: fit_scorer(data.config, ranker, validation, part, seed)
        for part in track((FULL, NO_TEXT), "Training rankers", 2)
    }
    vectors = data.texts.vectors.queries
    vector = pl.Series("vector", vectors, dtype=pl.Array(pl.Float32, vectors.shape[1]))
    parts = BundleParts(
        data.config,
        data.texts.encoder,
        data.texts.backend,
        text.record,
        signals,
        {name: data.log.catalogue.values[name] for name in features_of(data.config).coded.values()},
        pl.DataFrame({"query": data.texts.queries, "vector": vector}),
        scorers,
        data.workspace.state,
    )
    bundle = data.workspace.bundle(seed)
    cut_offs = _cut_offs(text, ranker, validation)
    manifest = _manifest(data, bundle.name, text, scorers, cut_offs)
    return write_bundle(bundle, parts, manifest, _state_manifest(data, manifest))


def _manifest(
    data: TrainingData,
    name: str,
    text: TextModel,
    scorers: dict[str, FittedScorer],
    cut_offs: CutOffs,
) -> Manifest:
    config, features = data.config, features_of(data.config)
    return Manifest(
        format=FORMAT,
        name=name,
        created_at=datetime.now(UTC),
        data=config.name,
        data_origin=config.data_origin,
        slate_source=config.slate_source,
        note=config.note,
        seed=text.record.seed,
        text_mode=text.record.mode,
        encoder_fingerprint=data.texts.backend.fingerprint,
        cut_texts=data.texts.cut,
        schema_hash=features.schema_hash,
        features=features.names,
        cut_offs=cut_offs,
        metrics={part: scorer.validation_ndcg for part, scorer in scorers.items()},
        libraries=library_versions(),
        files={},
    )


def _state_manifest(data: TrainingData, model: Manifest) -> StateManifest:
    return StateManifest(
        format=STATE_FORMAT,
        as_of=_moment(data.log.end_day * DAY),
        log_offset=None,
        schema_hash=model.schema_hash,
        encoder_fingerprint=model.encoder_fingerprint,
        files={},
    )


def _cut_offs(text: TextModel, ranker: RankingRows, validation: RankingRows) -> CutOffs:
    learned = ranker.slates.rows.request_time
    return CutOffs(
        text_trained_until=_moment(text.record.trained_until),
        ranker_from=_moment(int(learned[0])),
        ranker_until=_moment(ranker.slates.labels_end),
        validation_until=_moment(validation.slates.labels_end),
    )


def _moment(time: int) -> datetime:
    return datetime.fromtimestamp(time / 1e6, UTC)
