"""Writing a bundle: all its parts and its manifest, whole or not at all."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from data_contracts.storage import atomic_folder
from recsys.bundle.bundle import (
    CALIBRATION,
    CALIBRATION_FORMAT,
    ENCODER,
    INTEREST,
    INTEREST_FORMAT,
    POINTS,
    QUERIES,
    SLATE_TREES,
    STATE,
    TEXT_RECORD,
    WEIGHTS,
    Scorer,
    load_bundle,
)
from recsys.bundle.manifest import MANIFEST, Manifest, file_hashes
from recsys.text.encoder.base import Encoder
from recsys.text.encoder.bert import TextEncoder
from recsys.text.signals import TextSignals
from recsys.text.training.model import TextRecord
from recsys.workspace.config import CONFIG_NAME, WorkspaceConfig, write_config


@dataclass(frozen=True)
class BundleParts:
    """The parts of a bundle, as training made them.

    Attributes:
        config: Settings of the workspace.
        encoder: The encoder's weights and tokenizer.
        backend: What computes its vectors.
        text_record: How the text model was trained.
        signals: The catalogue in the text model's space.
        queries: Columns `query` and `vector`, of the queries of the log.
        scorers: The rankers with their calibrations, by name.
        state: Folder of the feature state as of the cut-off.
    """

    config: WorkspaceConfig
    encoder: TextEncoder
    backend: Encoder
    text_record: TextRecord
    signals: TextSignals
    queries: pl.DataFrame
    scorers: Mapping[str, Scorer]
    state: Path


def write_bundle(folder: Path, parts: BundleParts, manifest: Manifest) -> None:
    """Write a bundle; one that is there is replaced once the new one could be loaded.

    Args:
        folder: The bundle's folder.
        parts: What it holds.
        manifest: What it says of itself; the hashes of its files are filled in.

    Raises:
        BundleError: What was written cannot be loaded; the bundle that was there stays.
    """
    with atomic_folder(folder) as new:
        write_config(parts.config, new / CONFIG_NAME)
        (new / ENCODER).mkdir()
        parts.encoder.save(new / ENCODER)
        if not isinstance(parts.backend, TextEncoder):
            parts.backend.save(new / ENCODER)
        record = parts.text_record.model_dump_json(indent=2)
        (new / TEXT_RECORD).write_text(record, encoding="utf-8")
        save_signals(parts.signals, new)
        parts.queries.write_parquet(new / QUERIES)
        for name, scorer in parts.scorers.items():
            scorer.ranker.save(new / f"{name}.txt")
        save_calibrations(parts.scorers, new)
        (new / STATE).mkdir()
        for path in sorted(parts.state.iterdir()):
            shutil.copyfile(path, new / STATE / path.name)
        content = manifest.model_copy(update={"files": file_hashes(new)})
        (new / MANIFEST).write_text(content.model_dump_json(indent=2), encoding="utf-8")
        load_bundle(new)


def save_signals(signals: TextSignals, folder: Path) -> None:
    """Write the catalogue as the text model sees it."""
    table = signals.interest
    arrays = {"items": table.items, "past": table.past, "logits": table.logits}
    arrays |= {f"{WEIGHTS}{name}": array for name, array in table.weights.items()}
    INTEREST_FORMAT.write(folder / INTEREST, arrays)


def save_calibrations(scorers: Mapping[str, Scorer], folder: Path) -> None:
    """Write the curves of the calibrations, and their trees; no file where rankers have none."""
    by_name = {name: each.calibration for name, each in scorers.items() if each.calibration}
    points = {
        f"{name}/{part}": np.asarray(getattr(calibration.curve, part), np.float64)
        for name, calibration in by_name.items()
        for part in POINTS
    }
    if points:
        CALIBRATION_FORMAT.write(folder / CALIBRATION, points)
    for name, calibration in by_name.items():
        if calibration.trees is not None:
            calibration.trees.save(folder / f"{name}{SLATE_TREES}")
