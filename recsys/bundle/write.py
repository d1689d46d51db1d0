"""Writing a bundle: a new version of it, whole or not at all, before its alias moves."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from data_contracts.errors import BundleError
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
    TEXT_RECORD,
    VALUES,
    WEIGHTS,
    Scorer,
    load_bundle,
)
from recsys.bundle.manifest import MANIFEST, Manifest, StateManifest, file_hashes
from recsys.bundle.versions import (
    MODEL,
    STATE,
    VERSIONS,
    move_alias,
    version_name,
)
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
        signals: The texts in the text model's space.
        values: Values of the columns of items that the rankers know by code.
        queries: Columns `query` and `vector`, of the queries of the log.
        scorers: The rankers with their calibrations, by name.
        state: Folder of the feature state as of the cut-off.
    """

    config: WorkspaceConfig
    encoder: TextEncoder
    backend: Encoder
    text_record: TextRecord
    signals: TextSignals
    values: Mapping[str, Sequence[str]]
    queries: pl.DataFrame
    scorers: Mapping[str, Scorer]
    state: Path


def write_bundle(
    bundle: Path, parts: BundleParts, manifest: Manifest, state_manifest: StateManifest
) -> Path:
    """Write a version of a bundle, load it for a check, and let the bundle mean it.

    A whole version of the same content is kept instead: then only the alias moves.

    Args:
        bundle: The bundle's folder.
        parts: What it holds.
        manifest: What the model says of itself; the hashes of its files are filled in.
        state_manifest: What the state says of itself; the same.

    Returns:
        The version's folder.

    Raises:
        BundleError: What was written cannot be loaded; the bundle means what it meant.
    """
    bundle.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{bundle.name}.", dir=bundle.parent) as scratch:
        new = Path(scratch)
        _write_model(new / MODEL, parts, manifest)
        _write_state(new / STATE, parts, state_manifest)
        fingerprint = load_bundle(new).fingerprint
        folder = _version_of(bundle, fingerprint)
        if folder is None:
            folder = bundle / VERSIONS / version_name(manifest.created_at, fingerprint)
            with atomic_folder(folder) as place:
                for part in (MODEL, STATE):
                    (new / part).rename(place / part)
    move_alias(bundle, folder.name)
    return folder


def _write_model(folder: Path, parts: BundleParts, manifest: Manifest) -> None:
    (folder / ENCODER).mkdir(parents=True)
    write_config(parts.config, folder / CONFIG_NAME)
    parts.encoder.save(folder / ENCODER)
    if not isinstance(parts.backend, TextEncoder):
        parts.backend.save(folder / ENCODER)
    record = parts.text_record.model_dump_json(indent=2)
    (folder / TEXT_RECORD).write_text(record, encoding="utf-8")
    save_signals(parts.signals, folder)
    values = {name: list(each) for name, each in parts.values.items()}
    (folder / VALUES).write_text(json.dumps(values), encoding="utf-8")
    for name, scorer in parts.scorers.items():
        scorer.ranker.save(folder / f"{name}.txt")
    save_calibrations(parts.scorers, folder)
    _seal(folder, manifest)


def _write_state(folder: Path, parts: BundleParts, manifest: StateManifest) -> None:
    folder.mkdir()
    for path in sorted(parts.state.iterdir()):
        shutil.copyfile(path, folder / path.name)
    parts.queries.write_parquet(folder / QUERIES)
    _seal(folder, manifest)


def _seal(folder: Path, manifest: Manifest | StateManifest) -> None:
    content = manifest.model_copy(update={"files": file_hashes(folder)})
    (folder / MANIFEST).write_text(content.model_dump_json(indent=2), encoding="utf-8")


def _version_of(bundle: Path, fingerprint: str) -> Path | None:
    """Find the version of a content; one that was damaged since does not count."""
    for folder in sorted((bundle / VERSIONS).glob(f"*-{fingerprint}")):
        try:
            load_bundle(folder)
        except BundleError:
            continue
        return folder
    return None


def save_signals(signals: TextSignals, folder: Path) -> None:
    """Write the texts as the text model sees them."""
    table = signals.interest
    arrays = {name: getattr(table, name).all() for name in ("items", "past", "logits")}
    arrays |= {f"{WEIGHTS}{name}": array for name, array in table.weights.items()}
    INTEREST_FORMAT.write(folder / INTEREST, arrays, {}, {"keys": list(signals.rows)})


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
