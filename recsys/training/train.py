"""Training from a workspace to a bundle: features, text model, ranker, calibration."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from data_contracts.progress import Track, silent
from data_contracts.storage import atomic_folder
from features.arrays.clock import DAY
from features.log.log import Log
from recsys.bundle.bundle import ENCODER, FULL, NO_TEXT, QUERIES, STATE, TEXT_RECORD
from recsys.bundle.manifest import (
    FORMAT,
    MANIFEST,
    CutOffs,
    Manifest,
    file_hashes,
    library_versions,
)
from recsys.bundle.write import save_calibrations, save_signals
from recsys.labels.split import periods
from recsys.text.encoder.bert import TextEncoder
from recsys.text.head import InterestModel, table_of
from recsys.text.settings import TextSettings
from recsys.text.signals import TextSignals
from recsys.text.training.model import TextModel
from recsys.training.rows import RankingRows, ranking_rows
from recsys.training.scorers import FittedScorer, fit_scorer
from recsys.training.text_model import text_model
from recsys.training.texts import Texts, encode_texts, texts_of
from recsys.workspace.backfill import open_workspace_log, run_backfill
from recsys.workspace.config import CONFIG_NAME, write_config
from recsys.workspace.feature_sets import features_of
from recsys.workspace.workspace import Workspace

BUNDLES = "bundles"


def signals_of(model: InterestModel, vectors: np.ndarray, settings: TextSettings) -> TextSignals:
    """Bring the catalogue into the form that answers requests.

    Args:
        model: The trained head.
        vectors: Of the items, float32 [n_items, dim]; NaN rows for items without text.
        settings: How far back to look.

    Returns:
        What the ranker's text columns come from.
    """
    return TextSignals(table_of(model, vectors), settings.history)


def train(
    workspace: Workspace, *, seed: int = 0, name: str = "current", track: Track = silent
) -> Path:
    """Train a bundle from a workspace, and write it whole or not at all.

    Args:
        workspace: The workspace.
        seed: Seeds the text model and the ranker.
        name: Name of the bundle; one of the same name is replaced.
        track: Shows progress.

    Returns:
        The bundle's folder.
    """
    log = open_workspace_log(workspace)
    features = run_backfill(workspace, log, track=track)
    texts = encode_texts(workspace, track)
    split = periods(workspace.config.split, workspace.config.labels.attribution_window_hours)
    training = text_model(workspace, log, texts, seed, track)
    texts = texts_of(workspace, texts, training.encoder, track)
    signals = signals_of(training.model, texts.vectors.items, workspace.config.text)
    rows = {
        part: ranking_rows(workspace, log, texts, signals, training.trained_until, period, track)
        for part, period in (("ranker", split.ranker), ("validation", split.validation))
    }
    scorers = {
        part: fit_scorer(workspace, rows["ranker"], rows["validation"], part, seed)
        for part in track((FULL, NO_TEXT), "Training rankers", 2)
    }
    folder = workspace.root / BUNDLES / name
    with atomic_folder(folder) as part:
        _write_parts(part, workspace, texts, signals, features / STATE, scorers)
        record = training.record.model_dump_json(indent=2)
        (part / TEXT_RECORD).write_text(record, encoding="utf-8")
        manifest = Manifest(
            format=FORMAT,
            name=name,
            created_at=datetime.now(UTC),
            data=workspace.config.name,
            data_origin=workspace.config.data_origin,
            slate_source=workspace.config.slate_source,
            note=workspace.config.note,
            seed=seed,
            text_mode=training.record.mode,
            encoder_fingerprint=texts.backend.fingerprint,
            cut_texts=texts.cut,
            schema_hash=features_of(workspace.config).schema_hash,
            features=features_of(workspace.config).names,
            cut_offs=_cut_offs(training, rows, log),
            metrics={part: scorer.validation_ndcg for part, scorer in scorers.items()},
            libraries=library_versions(),
            files=file_hashes(part),
        )
        content = manifest.model_dump_json(indent=2)
        (part / MANIFEST).write_text(content, encoding="utf-8")
    return folder


def _write_parts(
    folder: Path,
    workspace: Workspace,
    texts: Texts,
    signals: TextSignals,
    state: Path,
    scorers: dict[str, FittedScorer],
) -> None:
    write_config(workspace.config, folder / CONFIG_NAME)
    (folder / ENCODER).mkdir()
    texts.encoder.save(folder / ENCODER)
    if not isinstance(texts.backend, TextEncoder):
        texts.backend.save(folder / ENCODER)
    save_signals(signals, folder)
    vectors = pl.Series(
        "vector",
        texts.vectors.queries,
        dtype=pl.Array(pl.Float32, texts.encoder.dim),
    )
    pl.DataFrame({"query": texts.queries, "vector": vectors}).write_parquet(folder / QUERIES)
    for name, scorer in scorers.items():
        scorer.ranker.save(folder / f"{name}.txt")
    save_calibrations({name: scorer.calibration for name, scorer in scorers.items()}, folder)
    (folder / STATE).mkdir()
    for path in sorted(state.iterdir()):
        (folder / STATE / path.name).write_bytes(path.read_bytes())


def _cut_offs(training: TextModel, rows: dict[str, RankingRows], log: Log) -> CutOffs:
    ranker, validation = (rows[part].slates.rows.request_time for part in ("ranker", "validation"))
    return CutOffs(
        text_trained_until=_moment(training.trained_until),
        ranker_from=_moment(int(ranker[0])),
        ranker_until=_moment(int(ranker[-1])),
        validation_until=_moment(int(validation[-1])),
        state_as_of=_moment(log.end_day * DAY),
    )


def _moment(time: int) -> datetime:
    return datetime.fromtimestamp(time / 1e6, UTC)


def bundle_name(seed: int) -> str:
    """Name the bundle of a seed: the first is the current one, others are named by their seed."""
    return "current" if seed == 0 else f"seed-{seed}"
