"""A feature state on disk, as of a midnight, with the dictionaries its codes refer to."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from data_contracts.array_file import ArrayFile, ArrayFormat, Arrays
from data_contracts.errors import BundleError
from data_contracts.storage import atomic_folder
from features.batch.history import RecentHistory
from features.batch.state import FeatureState
from features.batch.state_arrays import counter_arrays, counter_of, events_of, recent_arrays
from features.counter_spec import CounterSpec
from features.feature_set import FeatureSet
from features.log.catalogue import Catalogue, Lists
from features.snapshots.files import snapshot_arrays, snapshot_head, snapshot_of

STATE_FILE = "state.safetensors"
FORMAT = ArrayFormat("a feature state", 2, "make the bundle again with `recsys train`", BundleError)


def save_state(
    state: FeatureState,
    catalogue: Catalogue,
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
    arrays |= {f"catalogue/codes/{name}": codes for name, codes in catalogue.attributes.items()}
    arrays |= {f"catalogue/numbers/{name}": n for name, n in catalogue.numbers.items()}
    for name, lists in catalogue.lists.items():
        arrays[f"catalogue/lists/{name}/offsets"] = lists.offsets
        arrays[f"catalogue/lists/{name}/codes"] = lists.codes
    arrays["catalogue/log_price"] = catalogue.log_price
    arrays["catalogue/listed_at"] = catalogue.listed_at
    head = {
        "inputs": inputs,
        "day": state.day,
        "history": state.recent.k,
        "forget_days": state.recent.forget_days,
        "kinds": state.recent.events.kinds,
        "counters": [asdict(counter.spec) for counter in state.counters.values()],
        "numbers": list(catalogue.numbers),
        "lists": {name: lists.n_values for name, lists in catalogue.lists.items()},
        **snapshot_head(state.snapshot),
    }
    strings = {"items": catalogue.item_ids, "users": user_ids.cast(pl.String).to_list()}
    strings |= {f"catalogue/values/{name}": each for name, each in catalogue.values.items()}
    with atomic_folder(folder) as new:
        FORMAT.write(new / STATE_FILE, arrays, head, strings)


def state_inputs(folder: Path) -> str | None:
    """Read what a state was computed from; None when there is none or it does not say."""
    inputs: str | None = FORMAT.head(folder / STATE_FILE).get("inputs")
    return inputs


def load_state(folder: Path, features: FeatureSet) -> tuple[FeatureState, Catalogue, list[str]]:
    """Read a state that `save_state` wrote.

    Args:
        folder: The folder.
        features: What will be computed from it.

    Returns:
        The state, the catalogue, and the users in the order of their codes.

    Raises:
        BundleError: The file or a part is missing or damaged, or the state was kept for other
            features than these.
    """
    with FORMAT.reading(folder / STATE_FILE) as file:
        head = file.head
        specs = [_spec(fields) for fields in head["counters"]]
        _check_counters(specs, features.counters)
        day, item_ids = head["day"], file.strings("items")
        counters = {
            spec.name: counter_of(file, f"counters/{spec.name}/", spec, day) for spec in specs
        }
        events = events_of(file, "recent/", tuple(head["kinds"]))
        recent = RecentHistory(head["history"], head["forget_days"], events)
        snapshot = snapshot_of(file, len(item_ids))
        state = FeatureState(day, counters, recent, lambda: snapshot)
        return state, _catalogue(file, item_ids), file.strings("users")


def _catalogue(file: ArrayFile, item_ids: Sequence[str]) -> Catalogue:
    names, count = file.head["attributes"], len(item_ids)
    return Catalogue(
        item_ids,
        {name: file.array(f"catalogue/codes/{name}", count) for name in names},
        {name: file.strings(f"catalogue/values/{name}") for name in names},
        file.array("catalogue/log_price", count),
        file.array("catalogue/listed_at", count),
        {name: file.array(f"catalogue/numbers/{name}", count) for name in file.head["numbers"]},
        {name: _lists(file, name, size, count) for name, size in file.head["lists"].items()},
    )


def _lists(file: ArrayFile, name: str, n_values: int, n_items: int) -> Lists:
    prefix = f"catalogue/lists/{name}"
    offsets = file.array(f"{prefix}/offsets", n_items + 1)
    return Lists(offsets, file.array(f"{prefix}/codes", int(offsets[-1])), n_values)


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
