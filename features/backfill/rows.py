"""Feature rows on disk: a Parquet file a day with its provenance, and a manifest."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from data_contracts.errors import DataError
from data_contracts.storage import atomic_file, file_hash, write_text
from features.arrays.clock import day_name
from features.feature_set import FeatureSet
from features.log.log import Log

MANIFEST = "manifest.json"
_BASE, _INPUTS, _COLUMNS = "recsys.base", "recsys.inputs", "recsys.columns"


@dataclass(frozen=True)
class RowsOrigin:
    """Provenance of a file of rows.

    Attributes:
        base: Hash of the items and the settings.
        inputs: Hash of all that was known by the end of the day.
        columns: Hash of each column's declaration, by name.
    """

    base: str
    inputs: str
    columns: Mapping[str, str]


def row_file(folder: Path, day: int) -> Path:
    """Name the file of a day's rows."""
    return folder / f"{day_name(day)}.parquet"


def made_from(path: Path) -> RowsOrigin | None:
    """Read the provenance of a file of rows; None for a missing or foreign file."""
    try:
        metadata = pl.read_parquet_metadata(path)
        return RowsOrigin(metadata[_BASE], metadata[_INPUTS], json.loads(metadata[_COLUMNS]))
    except (OSError, KeyError, ValueError, pl.exceptions.PolarsError):
        return None


def write_rows(frame: pl.DataFrame, path: Path, made: RowsOrigin) -> str:
    """Write a day's rows, whole or not at all.

    Args:
        frame: What names the rows, then the columns.
        path: The file.
        made: What they were made from.

    Returns:
        The SHA-256 of the file.
    """
    metadata = {_BASE: made.base, _INPUTS: made.inputs, _COLUMNS: json.dumps(made.columns)}
    with atomic_file(path) as part:
        frame.write_parquet(part, metadata=metadata, compression="zstd", compression_level=1)
        return file_hash(part)


def read_rows_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a folder of rows; empty when there is none."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return manifest


def write_rows_manifest(
    folder: Path, log: Log, features: FeatureSet, hashes: Mapping[str, str]
) -> None:
    """Write the manifest of a folder of rows.

    Args:
        folder: The folder.
        log: Whose rows they are.
        features: The columns that every file has.
        hashes: SHA-256 of each file, by its name.
    """
    manifest = {
        "schema_hash": features.schema_hash,
        "features": {each.name: each.meaning for each in features.features},
        "files": dict(sorted(hashes.items())),
        "days": {day_name(number): day.digest for number, day in log.days.items()},
        "set_aside": vars(log.set_aside),
    }
    if manifest == read_rows_manifest(folder):
        return
    write_text(folder / MANIFEST, json.dumps(manifest, indent=2))


def feature_columns(folder: Path) -> tuple[str, list[str]]:
    """Read which features a folder of rows has.

    Args:
        folder: What `backfill` wrote.

    Returns:
        The schema hash and the names of the columns, in order.

    Raises:
        DataError: There are no features, or their computation did not end.
    """
    manifest = read_rows_manifest(folder)
    if "schema_hash" not in manifest or "features" not in manifest:
        raise DataError(
            f"no readable {MANIFEST} in {folder}",
            "features computed for this workspace",
            "run `recsys backfill` first",
        )
    return manifest["schema_hash"], list(manifest["features"])
