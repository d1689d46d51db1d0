"""A feature state on disk, as of a midnight, with the dictionaries its codes refer to."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from data_contracts.array_file import ArrayFormat, Arrays
from data_contracts.errors import BundleError
from data_contracts.storage import atomic_folder
from features.arrays.clock import DAY
from features.batch.history import RecentHistory
from features.batch.state import FeatureState
from features.batch.state_arrays import counter_arrays, counter_of, events_of, recent_arrays
from features.counter_spec import CounterSpec
from features.feature_set import FeatureSet
from features.log.catalogue import LoggedCatalogue
from features.log.catalogue_files import (
    catalogue_arrays,
    catalogue_head,
    catalogue_of,
    catalogue_strings,
)
from features.snapshots.files import snapshot_arrays, snapshot_head, snapshot_of

STATE_FILE = "state.safetensors"
FORMAT = ArrayFormat("a feature state", 4, "make the bundle again with `recsys train`", BundleError)


def save_state(
    state: FeatureState,
    catalogue: LoggedCatalogue,
    user_ids: pl.Series,
    folder: Path,
    inputs: str | None = None,
) -> None:
    """Write a state with the dictionaries its codes refer to; the folder is replaced whole.

    Args:
        state: The state as of a midnight.
        catalogue: The items.
        user_ids: The users, in the order of their codes.
        folder: Where to write.
        inputs: Hash of what the state was computed from.
    """
    arrays: Arrays = {}
    for name, counter in state.counters.items():
        arrays |= counter_arrays(counter, f"counters/{name}/", tiles=True)
    arrays |= recent_arrays(state.recent, "recent/") | snapshot_arrays(state.snapshot)
    # An impression counts by its item's version, also once it leads to something, a window later.
    catalogue = catalogue.since_moment(state.day * DAY - state.window)
    arrays |= catalogue_arrays(catalogue)
    head = {
        "inputs": inputs,
        "day": state.day,
        "history": state.recent.k,
        "forget_days": state.recent.forget_days,
        "window": state.window,
        "kinds": state.recent.events.kinds,
        "counters": [asdict(counter.spec) for counter in state.counters.values()],
        **catalogue_head(catalogue),
        **snapshot_head(state.snapshot),
    }
    strings = {"users": user_ids.cast(pl.String).to_list(), **catalogue_strings(catalogue)}
    with atomic_folder(folder) as new:
        FORMAT.write(new / STATE_FILE, arrays, head, strings)


def state_inputs(folder: Path) -> str | None:
    """Read what a state was computed from; None when there is none or it does not say."""
    inputs: str | None = FORMAT.head(folder / STATE_FILE).get("inputs")
    return inputs


def load_state(
    folder: Path, features: FeatureSet
) -> tuple[FeatureState, LoggedCatalogue, list[str]]:
    """Read a state that `save_state` wrote.

    Args:
        folder: The folder.
        features: What will be computed from it.

    Returns:
        The state, the catalogue from its midnight on, and the users in the order of their codes.

    Raises:
        BundleError: The file or a part is missing or damaged, or the state was kept for other
            features than these.
    """
    with FORMAT.reading(folder / STATE_FILE) as file:
        head = file.head
        specs = [_spec(fields) for fields in head["counters"]]
        _check_counters(specs, features.counters)
        day = head["day"]
        counters = {
            spec.name: counter_of(file, f"counters/{spec.name}/", spec, day) for spec in specs
        }
        events = events_of(file, "recent/", tuple(head["kinds"]))
        recent = RecentHistory(head["history"], head["forget_days"], events)
        snapshot = snapshot_of(file)
        state = FeatureState(day, counters, recent, head["window"], lambda: snapshot)
        return state, catalogue_of(file), file.strings("users")


def _spec(fields: Mapping[str, Any]) -> CounterSpec:
    return CounterSpec(
        tuple(fields["key"]), fields["kind"], tuple(fields["windows"]), fields["measure"]
    )


def _check_counters(stored: Sequence[CounterSpec], needed: Sequence[CounterSpec]) -> None:
    """Refuse a state whose counters lack a window the features read."""
    windows = {spec.name: spec.windows for spec in stored}
    for spec in needed:
        found = windows.get(spec.name)
        if found is None or not set(spec.windows) <= set(found):
            has = "no such counter" if found is None else f"windows of {list(found)} days"
            raise BundleError(
                f"{has} for {spec.name} in the feature state",
                f"windows of {list(spec.windows)} days (0 is all time)",
                "compute the features again with these settings, then train again",
            )
