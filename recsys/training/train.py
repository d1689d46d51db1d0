"""Training from a workspace to a bundle: features, text model, rankers, calibration."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from data_contracts.progress import Track, silent
from features.arrays.clock import DAY
from recsys.bundle.bundle import FULL, NO_TEXT
from recsys.bundle.manifest import FORMAT, CutOffs, Manifest, library_versions
from recsys.bundle.write import BundleParts, write_bundle
from recsys.text.training.model import TextModel
from recsys.training.data import TrainingData
from recsys.training.rows import RankingRows
from recsys.training.scorers import FittedScorer, fit_scorer
from recsys.training.text_model import text_model
from recsys.workspace.feature_sets import features_of


def train(data: TrainingData, *, seed: int = 0, track: Track = silent) -> Path:
    """Train the bundle of a seed, and write it whole or not at all.

    Args:
        data: The workspace's data, with the vectors of the frozen encoder.
        seed: Seeds the text model and the rankers.
        track: Shows progress.

    Returns:
        The bundle's folder; the bundle that was there is replaced.
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
        pl.DataFrame({"query": data.texts.queries, "vector": vector}),
        scorers,
        data.workspace.state,
    )
    folder = data.workspace.bundle(seed)
    cut_offs = _cut_offs(text, ranker, validation, data.log.end_day)
    write_bundle(folder, parts, _manifest(data, folder.name, text, scorers, cut_offs))
    return folder


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


def _cut_offs(
    text: TextModel, ranker: RankingRows, validation: RankingRows, end_day: int
) -> CutOffs:
    learned = ranker.slates.rows.request_time
    return CutOffs(
        text_trained_until=_moment(text.record.trained_until),
        ranker_from=_moment(int(learned[0])),
        ranker_until=_moment(ranker.slates.labels_end),
        validation_until=_moment(validation.slates.labels_end),
        state_as_of=_moment(end_day * DAY),
    )


def _moment(time: int) -> datetime:
    return datetime.fromtimestamp(time / 1e6, UTC)
