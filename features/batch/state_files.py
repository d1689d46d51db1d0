"""A feature state on disk: arrays as safetensors, identifiers as Parquet, the rest as JSON.

A folder holds `arrays.safetensors`, `items.parquet`, `users.parquet`, `values.parquet` and
`state.json`. Nothing in it is code, and it is written whole or not at all.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from data_contracts.errors import BundleError
from data_contracts.events import Impressions
from data_contracts.items import Items
from data_contracts.storage import atomic_folder
from features.batch.counters.counter import Counter
from features.batch.counters.tiles import Tile
from features.batch.history import RecentHistory
from features.batch.state import FeatureState
from features.counter_spec import CounterSpec
from features.feature_set import FeatureSet
from features.log.catalogue import Catalogue, Lists
from features.log.events import EVENT_ARRAYS, Events
from features.snapshots.files import snapshot_arrays, snapshot_of, snapshot_scalars
from features.snapshots.snapshot import Snapshot

FORMAT = 1
_ARRAYS, _SCALARS = "arrays.safetensors", "state.json"
_ITEMS, _USERS, _VALUES = "items.parquet", "users.parquet", "values.parquet"
_ATTRIBUTE, _VALUE = "attribute", "value"
_TILE_PARTS = ("codes", "moments", "running", "starts")
_COUNTER_PARTS = ("codes", "totals", "first", "last")
_REBUILD = "make the bundle again with `recsys train`"

Arrays = dict[str, np.ndarray]


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
        counter.tidy()
        arrays |= _counter_arrays(f"counters/{name}", counter)
    for part in EVENT_ARRAYS:
        arrays[f"recent/{part}"] = getattr(state.recent.events, part)
    arrays |= snapshot_arrays(state.snapshot)
    arrays |= {f"catalogue/codes/{name}": codes for name, codes in catalogue.attributes.items()}
    arrays |= {f"catalogue/numbers/{name}": n for name, n in catalogue.numbers.items()}
    for name, lists in catalogue.lists.items():
        arrays[f"catalogue/lists/{name}/offsets"] = lists.offsets
        arrays[f"catalogue/lists/{name}/codes"] = lists.codes
    arrays["catalogue/log_price"] = catalogue.log_price
    arrays["catalogue/listed_at"] = catalogue.listed_at
    scalars = {
        "format": FORMAT,
        "inputs": inputs,
        "day": state.day,
        "history": state.recent.k,
        "forget_days": state.recent.forget_days,
        "kinds": state.recent.events.kinds,
        "counters": [asdict(counter.spec) for counter in state.counters.values()],
        "numbers": list(catalogue.numbers),
        "lists": {name: lists.n_values for name, lists in catalogue.lists.items()},
        **snapshot_scalars(state.snapshot),
    }
    attribute = [name for name, values in catalogue.values.items() for _ in values]
    value = [value for values in catalogue.values.values() for value in values]
    strings = {_ATTRIBUTE: pl.String, _VALUE: pl.String}
    with atomic_folder(folder) as new:
        save_file({name: np.ascontiguousarray(a) for name, a in arrays.items()}, new / _ARRAYS)
        # The library makes the file readable by its owner only, and a server is often another user.
        (new / _ARRAYS).chmod(0o644)
        pl.Series(Items.item_id.name, catalogue.item_ids, pl.String).to_frame().write_parquet(
            new / _ITEMS
        )
        user_ids.cast(pl.String).alias(Impressions.user_id.name).to_frame().write_parquet(
            new / _USERS
        )
        pl.DataFrame({_ATTRIBUTE: attribute, _VALUE: value}, strings).write_parquet(new / _VALUES)
        (new / _SCALARS).write_text(json.dumps(scalars, indent=2), encoding="utf-8")


def state_inputs(folder: Path) -> str | None:
    """Read what a state was computed from; None when there is none or it does not say."""
    try:
        inputs: str | None = _read_scalars(folder / _SCALARS).get("inputs")
    except BundleError:
        return None
    return inputs


def load_state(folder: Path, features: FeatureSet) -> tuple[FeatureState, Catalogue, list[str]]:
    """Read a state that `save_state` wrote.

    Args:
        folder: The folder.
        features: What will be computed from it.

    Returns:
        The state, the catalogue, and the users in the order of their codes.

    Raises:
        BundleError: A file or a part is missing or damaged, or the state was kept for other
            features than these.
    """
    scalars = _read_scalars(folder / _SCALARS)
    stored = _Stored(folder, scalars)
    try:
        specs = [_spec(fields) for fields in scalars["counters"]]
        _check_counters(specs, features.counters)
        snapshot = stored.snapshot()
        state = FeatureState(
            scalars["day"],
            {spec.name: stored.counter(spec) for spec in specs},
            RecentHistory(scalars["history"], scalars["forget_days"], stored.recent()),
            lambda: snapshot,
        )
        catalogue = stored.catalogue()
    except (KeyError, TypeError) as error:
        raise BundleError(
            f"{_SCALARS} in {folder} without a proper part {error}",
            f"every part of a feature state of format {FORMAT}",
            _REBUILD,
        ) from error
    users = _read_parquet(folder / _USERS, (Impressions.user_id.name,))
    return state, catalogue, users[Impressions.user_id.name].to_list()


def _counter_arrays(prefix: str, counter: Counter) -> Arrays:
    """Name a counter's arrays; its tiles are laid end to end, with the sizes of each."""
    arrays = {f"{prefix}/{part}": getattr(counter, part) for part in _COUNTER_PARTS}
    days = sorted({*counter.tiles, *counter.late})
    tiles = [counter.tile_of(day) for day in days]
    arrays[f"{prefix}/tiles/days"] = np.array(days, np.int64)
    for part in _TILE_PARTS:
        pieces = [getattr(tile, part) for tile in tiles]
        arrays[f"{prefix}/tiles/{part}"] = np.concatenate([np.zeros(0, np.int64), *pieces])
        arrays[f"{prefix}/tiles/{part}_sizes"] = np.array([len(p) for p in pieces], np.int64)
    return arrays


class _Stored:
    """The arrays of a folder, put together again."""

    def __init__(self, folder: Path, scalars: Mapping[str, Any]) -> None:
        self.folder = folder
        self.scalars = scalars
        try:
            self._arrays: Arrays = load_file(folder / _ARRAYS)
        except (OSError, SafetensorError) as error:
            raise _unreadable(folder / _ARRAYS, error) from error
        items = _read_parquet(folder / _ITEMS, (Items.item_id.name,))
        self._item_ids: list[str] = items[Items.item_id.name].to_list()

    def array(self, name: str, length: int | None = None) -> np.ndarray:
        """Give an array; one that is not there or not as long as it should be is an error."""
        array = self._arrays.get(name)
        if array is None or (length is not None and len(array) != length):
            found = "no array" if array is None else f"{len(array)} rows in the array"
            raise BundleError(
                f"{found} {name} in {self.folder / _ARRAYS}",
                f"{'any number of' if length is None else length} rows",
                _REBUILD,
            )
        return array

    def counter(self, spec: CounterSpec) -> Counter:
        """Put a counter together."""
        prefix = f"counters/{spec.name}"
        codes = self.array(f"{prefix}/codes")
        totals, first, last = (
            self.array(f"{prefix}/{part}", len(codes)) for part in _COUNTER_PARTS[1:]
        )
        days = self.array(f"{prefix}/tiles/days").tolist()
        pieces = [self._pieces(f"{prefix}/tiles/{part}", len(days)) for part in _TILE_PARTS]
        tiles = {day: Tile(*each) for day, *each in zip(days, *pieces, strict=True)}
        return Counter(spec, self.scalars["day"], codes, totals, first, last, tiles)

    def _pieces(self, name: str, count: int) -> list[np.ndarray]:
        sizes = self.array(f"{name}_sizes", count)
        ends = np.cumsum(sizes).tolist()
        whole = self.array(name, ends[-1] if ends else 0)
        return [whole[end - size : end] for end, size in zip(ends, sizes.tolist(), strict=True)]

    def recent(self) -> Events:
        """Put the last interactions together."""
        count = len(self.array("recent/time"))
        parts = (self.array(f"recent/{part}", count) for part in EVENT_ARRAYS)
        return Events.of(list(parts), tuple(self.scalars["kinds"]))

    def snapshot(self) -> Snapshot:
        """Put the snapshot together."""
        return snapshot_of(dict(self.scalars), self.array, len(self._item_ids))

    def catalogue(self) -> Catalogue:
        """Put the catalogue together."""
        values = _read_parquet(self.folder / _VALUES, (_ATTRIBUTE, _VALUE))
        names: Sequence[str] = self.scalars["attributes"]
        count = len(self._item_ids)
        return Catalogue(
            self._item_ids,
            {name: self.array(f"catalogue/codes/{name}", count) for name in names},
            {name: values.filter(pl.col(_ATTRIBUTE) == name)[_VALUE].to_list() for name in names},
            self.array("catalogue/log_price", count),
            self.array("catalogue/listed_at", count),
            {n: self.array(f"catalogue/numbers/{n}", count) for n in self.scalars["numbers"]},
            {name: self._lists(name, size) for name, size in self.scalars["lists"].items()},
        )

    def _lists(self, name: str, n_values: int) -> Lists:
        prefix = f"catalogue/lists/{name}"
        offsets = self.array(f"{prefix}/offsets", len(self._item_ids) + 1)
        return Lists(offsets, self.array(f"{prefix}/codes", int(offsets[-1])), n_values)


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


def _read_scalars(path: Path) -> dict[str, Any]:
    try:
        scalars = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    found = scalars.get("format") if isinstance(scalars, dict) else None
    if found != FORMAT:
        raise BundleError(f"format {found} in {path}", f"format {FORMAT}", _REBUILD)
    return scalars


def _read_parquet(path: Path, columns: tuple[str, ...]) -> pl.DataFrame:
    try:
        return pl.read_parquet(path, columns=list(columns))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> BundleError:
    reason = str(error).splitlines()[0]
    return BundleError(f"{path} cannot be read: {reason}", "a file of a feature state", _REBUILD)
