"""Snapshots on disk: one folder a snapshot, named by its day, written whole or not at all."""

import json
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy import sparse

from data_contracts.errors import DataError
from data_contracts.storage import atomic_folder
from features.arrays.clock import day_name
from features.snapshots.snapshot import Snapshot

FORMAT = 1
_ARRAYS, _SCALARS = "arrays.safetensors", "snapshot.json"
_REBUILD = "run `recsys backfill` again"

Arrays = dict[str, np.ndarray]


def save_snapshot(snapshot: Snapshot, folder: Path, inputs: str) -> None:
    """Write a snapshot into a folder named by its day.

    Args:
        snapshot: The snapshot.
        folder: The folder of all snapshots.
        inputs: Hash of what it depends on.
    """
    scalars = {"format": FORMAT, "inputs": inputs, "n_items": len(snapshot.repeat_rate)}
    scalars |= snapshot_scalars(snapshot)
    with atomic_folder(folder / day_name(snapshot.day)) as new:
        save_file(snapshot_arrays(snapshot), new / _ARRAYS)
        (new / _ARRAYS).chmod(0o644)
        (new / _SCALARS).write_text(json.dumps(scalars, indent=2), encoding="utf-8")


def snapshot_at(folder: Path, day: int) -> Snapshot:
    """Read the last snapshot that was taken at a day's midnight or before it.

    Args:
        folder: The folder of all snapshots.
        day: Day number.

    Returns:
        The snapshot.

    Raises:
        DataError: There is none, or it is damaged.
    """
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    due = max((name for name in names if _is_day(name) and name <= day_name(day)), default=None)
    if due is None:
        raise DataError(
            f"no snapshot of {day_name(day)} or earlier in {folder}",
            "the snapshots that the computed rows used",
            _REBUILD,
        )
    return load_snapshot(folder / due)


def load_snapshot(folder: Path) -> Snapshot:
    """Read one snapshot.

    Args:
        folder: Its own folder.

    Returns:
        The snapshot.

    Raises:
        DataError: It is damaged or of another format.
    """
    try:
        scalars = json.loads((folder / _SCALARS).read_text(encoding="utf-8"))
        arrays: Arrays = load_file(folder / _ARRAYS)
        if scalars["format"] != FORMAT:
            raise DataError(f"format {scalars['format']} in {folder}", f"format {FORMAT}", _REBUILD)
        return snapshot_of(scalars, lambda name, _: arrays[name], scalars["n_items"])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise DataError(
            f"{folder} cannot be read: {error}", "a snapshot written whole", _REBUILD
        ) from error


def snapshot_inputs(folder: Path, day: int) -> str | None:
    """Read what the snapshot of a day depends on; None when there is none."""
    try:
        scalars = json.loads((folder / day_name(day) / _SCALARS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    inputs: str | None = scalars.get("inputs")
    return inputs


def snapshot_arrays(snapshot: Snapshot) -> Arrays:
    """Name the arrays of a snapshot."""
    arrays = {
        "snapshot/repeat_rate": snapshot.repeat_rate,
        "snapshot/repeat_days": snapshot.repeat_days,
    }
    for how, together in snapshot.together.items():
        arrays[f"snapshot/together/{how}/data"] = together.data
        arrays[f"snapshot/together/{how}/indices"] = together.indices
        arrays[f"snapshot/together/{how}/indptr"] = together.indptr
    return arrays | {f"snapshot/shares/{name}": s for name, s in snapshot.shares.items()}


def snapshot_scalars(snapshot: Snapshot) -> dict[str, Any]:
    """Give what a snapshot has beside arrays."""
    return {
        "snapshot_day": snapshot.day,
        "rates": dict(snapshot.rates),
        "together": list(snapshot.together),
        "attributes": list(snapshot.shares),
    }


def snapshot_of(
    scalars: dict[str, Any], array: Callable[[str, int | None], np.ndarray], n_items: int
) -> Snapshot:
    """Put a snapshot together.

    Args:
        scalars: From `snapshot_scalars`.
        array: Gives an array of `snapshot_arrays` by name, checked to be as long as told.
        n_items: Size of the catalogue.

    Returns:
        The snapshot.
    """
    attributes: Sequence[str] = scalars["attributes"]
    return Snapshot(
        scalars["snapshot_day"],
        {how: _together(how, array, n_items) for how in scalars["together"]},
        array("snapshot/repeat_rate", n_items),
        array("snapshot/repeat_days", n_items),
        {name: array(f"snapshot/shares/{name}", None) for name in attributes},
        scalars["rates"],
    )


def _together(
    how: str, array: Callable[[str, int | None], np.ndarray], n_items: int
) -> sparse.csr_array:
    prefix = f"snapshot/together/{how}"
    indptr = array(f"{prefix}/indptr", n_items + 1)
    count = int(indptr[-1])
    parts = (array(f"{prefix}/data", count), array(f"{prefix}/indices", count))
    return sparse.csr_array((*parts, indptr), shape=(n_items, n_items))


def _is_day(name: str) -> bool:
    try:
        date.fromisoformat(name)
    except ValueError:
        return False
    return True
