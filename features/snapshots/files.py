"""Snapshots on disk: one folder a snapshot, named by its day, written whole or not at all."""

from datetime import date
from pathlib import Path
from typing import Any

from scipy import sparse

from data_contracts.array_file import ArrayFile, ArrayFormat, Arrays
from data_contracts.errors import DataError
from data_contracts.storage import atomic_folder
from features.arrays.clock import day_name
from features.log.catalogue import Catalogue
from features.snapshots.snapshot import NamedSnapshot, Snapshot

_FILE = "snapshot.safetensors"
_ITEMS, _VALUES = "items", "values/"
FORMAT = ArrayFormat("a snapshot", 3, "run `recsys backfill` again")


def save_snapshot(snapshot: Snapshot, catalogue: Catalogue, folder: Path, inputs: str) -> None:
    """Write a snapshot into a folder named by its day.

    Args:
        snapshot: The snapshot.
        catalogue: What its codes stand for.
        folder: The folder of all snapshots.
        inputs: Hash of what it depends on.
    """
    head = {"inputs": inputs, **snapshot_head(snapshot)}
    strings = {_ITEMS: catalogue.item_ids[: len(snapshot.repeat_rate)]}
    for name, shares in snapshot.shares.items():
        strings[f"{_VALUES}{name}"] = catalogue.values[name][: len(shares)]
    with atomic_folder(folder / day_name(snapshot.day)) as new:
        FORMAT.write(new / _FILE, snapshot_arrays(snapshot), head, strings)


def snapshot_at(folder: Path, day: int) -> NamedSnapshot:
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
            FORMAT.action,
        )
    return load_snapshot(folder / due)


def load_snapshot(folder: Path) -> NamedSnapshot:
    """Read one snapshot.

    Args:
        folder: Its own folder.

    Returns:
        The snapshot.

    Raises:
        DataError: It is damaged or of another format.
    """
    with FORMAT.reading(folder / _FILE) as file:
        snapshot, item_ids = snapshot_of(file), file.strings(_ITEMS)
        values = {name: file.strings(f"{_VALUES}{name}") for name in snapshot.shares}
        return NamedSnapshot(snapshot, item_ids, values)


def snapshot_inputs(folder: Path, day: int) -> str | None:
    """Read what the snapshot of a day depends on; None when there is none."""
    inputs: str | None = FORMAT.head(folder / day_name(day) / _FILE).get("inputs")
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


def snapshot_head(snapshot: Snapshot) -> dict[str, Any]:
    """Give what a snapshot has beside arrays, for the head of a file."""
    return {
        "snapshot_day": snapshot.day,
        "snapshot_items": len(snapshot.repeat_rate),
        "rates": dict(snapshot.rates),
        "together": list(snapshot.together),
        "attributes": list(snapshot.shares),
    }


def snapshot_of(file: ArrayFile) -> Snapshot:
    """Put together a snapshot from `snapshot_arrays` and `snapshot_head`.

    Args:
        file: Has them, perhaps among others.

    Returns:
        The snapshot.
    """
    head, n_items = file.head, file.head["snapshot_items"]
    return Snapshot(
        head["snapshot_day"],
        {how: _together(file, f"snapshot/together/{how}", n_items) for how in head["together"]},
        file.array("snapshot/repeat_rate", n_items),
        file.array("snapshot/repeat_days", n_items),
        {name: file.array(f"snapshot/shares/{name}") for name in head["attributes"]},
        head["rates"],
    )


def _together(file: ArrayFile, prefix: str, n_items: int) -> sparse.csr_array:
    indptr = file.array(f"{prefix}/indptr", n_items + 1)
    parts = [file.array(f"{prefix}/{part}", int(indptr[-1])) for part in ("data", "indices")]
    return sparse.csr_array((*parts, indptr), shape=(n_items, n_items))


def _is_day(name: str) -> bool:
    try:
        date.fromisoformat(name)
    except ValueError:
        return False
    return True
