"""A live state on disk: arrays as safetensors, identifiers as Parquet, the rest as JSON.

What a bundle holds already is not in it: the catalogue, the features, the snapshots. The folder is
written whole or not at all, and a state that is loaded goes on bit for bit as the saved one.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from data_contracts.errors import BundleError
from data_contracts.storage import atomic_folder
from features.counter_spec import CounterSpec
from features.log.catalogue import Catalogue
from features.online.counters.keys import HashedKeys
from features.online.counters.table import CounterTable
from features.online.dedup import SeenIds
from features.online.events import FIELDS, EncodedEvents, ShownSlate
from features.online.history import OnlineHistory
from features.online.state import EventCounts, OnlineState, Retention
from features.online.users import Users

FORMAT = 1
_ARRAYS, _SCALARS = "arrays.safetensors", "live.json"
_USERS, _WAITING = "users.parquet", "waiting.parquet"
_RINGS = ("item", "kind", "time", "newest", "count")
_START_AGAIN = "begin with the bundle's state and fold the events since again"

Arrays = dict[str, np.ndarray]


def save_live(state: OnlineState, folder: Path) -> None:
    """Write a live state; the folder is replaced whole.

    Args:
        state: The state.
        folder: Where to write.
    """
    arrays = _ring_arrays(state.histories, len(state.users))
    for place, table in enumerate(state.tables.values()):
        arrays |= _table_arrays(f"tables/{place}", table)
    arrays["users/seen"] = state.users.seen[: len(state.users)]
    for name, remembered in (("ids", state.ids), ("visits", state.visits)):
        arrays |= {f"{name}/{part}": array for part, array in remembered.arrays().items()}
    shown = state.waiting.shown
    arrays["shown/known"] = np.array([slate.known for slate in shown], np.int64)
    arrays["shown/user"] = np.array([slate.user for slate in shown], np.int64)
    arrays["shown/sizes"] = np.array([len(slate.item) for slate in shown], np.int64)
    items = [slate.item for slate in shown]
    arrays["shown/item"] = np.concatenate([np.zeros(0, np.int32), *items])
    with atomic_folder(folder) as new:
        save_file({name: np.ascontiguousarray(a) for name, a in arrays.items()}, new / _ARRAYS)
        # The library makes the file readable by its owner only, and a server is often another user.
        (new / _ARRAYS).chmod(0o644)
        pl.DataFrame({"user_id": state.users.ids}, {"user_id": pl.String}).write_parquet(
            new / _USERS
        )
        _waiting_frame(state.waiting.arrivals).write_parquet(new / _WAITING)
        (new / _SCALARS).write_text(json.dumps(_scalars(state), indent=2), encoding="utf-8")


def load_live(
    folder: Path, specs: Sequence[CounterSpec], catalogue: Catalogue, kinds: tuple[str, ...]
) -> OnlineState:
    """Read a live state that `save_live` wrote.

    Args:
        folder: The folder.
        specs: The counters of the features that will be computed.
        catalogue: The items.
        kinds: Kinds of interaction, in the order of their codes, `session` last.

    Returns:
        The state.

    Raises:
        BundleError: A file is missing or damaged, or the state was kept for other features or
            another catalogue.
    """
    scalars = _read_scalars(folder / _SCALARS)
    try:
        arrays = load_file(folder / _ARRAYS)
        user_ids = pl.read_parquet(folder / _USERS)["user_id"].to_list()
        waiting = pl.read_parquet(folder / _WAITING)
    except (OSError, SafetensorError, pl.exceptions.PolarsError) as error:
        raise _unreadable(folder, error) from error
    memory = Retention(scalars["history"], scalars["forget_days"], scalars["late_days"])
    state = OnlineState(specs, catalogue, kinds, memory, scalars["clock"])
    _require_same(folder, scalars, _scalars(state))
    try:
        for place, table in enumerate(state.tables.values()):
            _fill_table(table, f"tables/{place}", arrays)
        state.users = Users(user_ids)
        state.users.seen[: len(user_ids)] = arrays["users/seen"]
        state.users.free = list(scalars["free"])
        _fill_rings(state.histories, arrays)
        state.ids, state.visits = _remembered("ids", arrays), _remembered("visits", arrays)
        numbers = waiting.select(FIELDS).to_numpy().T
        state.waiting.add(
            EncodedEvents(waiting["event_id"].to_list(), np.ascontiguousarray(numbers))
        )
        state.waiting.shown = _shown(arrays)
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise _unreadable(folder / _ARRAYS, error) from error
    state.tally = EventCounts(**scalars["tally"])
    return state


def _scalars(state: OnlineState) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "clock": state.clock,
        "kinds": list(state.kinds),
        "items": state.items.count,
        **asdict(state.memory),
        "counters": [asdict(spec) for spec in state.specs],
        "free": list(state.users.free),
        "tally": asdict(state.tally),
    }


def _ring_arrays(histories: OnlineHistory, users: int) -> Arrays:
    histories.make_room(users)
    return {f"histories/{name}": getattr(histories, name)[:users] for name in _RINGS}


def _fill_rings(histories: OnlineHistory, arrays: Mapping[str, np.ndarray]) -> None:
    histories.make_room(len(arrays["histories/count"]))
    for name in _RINGS:
        part = arrays[f"histories/{name}"]
        getattr(histories, name)[: len(part)] = part


def _table_arrays(prefix: str, table: CounterTable) -> Arrays:
    used = table.keys.rows_used
    table.make_room()
    codes = table.keys.codes if isinstance(table.keys, HashedKeys) else np.zeros(0, np.int64)
    arrays = {"codes": codes, "totals": table.totals[:used], "ends": table.ends[:used]}
    for series in table.series.values():
        for tiles in series.tiles:
            name = f"{series.spec.name}/{tiles.length}"
            arrays |= {f"{name}/{part}": array for part, array in tiles.laid_out().items()}
    return {f"{prefix}/{name}": array for name, array in arrays.items()}


def _fill_table(table: CounterTable, prefix: str, arrays: Arrays) -> None:
    totals, ends = arrays[f"{prefix}/totals"], arrays[f"{prefix}/ends"]
    if isinstance(table.keys, HashedKeys):
        table.keys = HashedKeys(arrays[f"{prefix}/codes"])
    else:
        table.keys.rows_used = len(totals)
    table.make_room()
    table.totals[: len(totals)] = totals
    table.ends[: len(ends)] = ends
    for series in table.series.values():
        for tiles in series.tiles:
            name = f"{prefix}/{series.spec.name}/{tiles.length}"
            parts = ("tiles", "sizes", "rows", "amounts")
            tiles.lay_in({part: arrays[f"{name}/{part}"] for part in parts})


def _waiting_frame(waiting: Sequence[EncodedEvents]) -> pl.DataFrame:
    arrivals = EncodedEvents.join(waiting)
    numbers = {name: arrivals.column(name) for name in FIELDS}
    return pl.DataFrame({"event_id": pl.Series(arrivals.event_id, dtype=pl.String), **numbers})


def _shown(arrays: Mapping[str, np.ndarray]) -> list[ShownSlate]:
    sizes = arrays["shown/sizes"]
    items = np.split(arrays["shown/item"], np.cumsum(sizes)[:-1]) if len(sizes) else []
    known, user = arrays["shown/known"].tolist(), arrays["shown/user"].tolist()
    return [ShownSlate(*each) for each in zip(known, user, items, strict=True)]


def _remembered(name: str, arrays: Mapping[str, np.ndarray]) -> SeenIds:
    return SeenIds.of_arrays({p: arrays[f"{name}/{p}"] for p in ("days", "sizes", "codes")})


def _read_scalars(path: Path) -> dict[str, Any]:
    try:
        scalars = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    found = scalars.get("format") if isinstance(scalars, dict) else None
    if found != FORMAT:
        raise BundleError(f"format {found} in {path}", f"format {FORMAT}", _START_AGAIN)
    names = {"clock", "kinds", "items", "counters", "free", "tally"}
    names |= {each.name for each in fields(Retention)}
    if missing := sorted(names - scalars.keys()):
        raise BundleError(f"no {', '.join(missing)} in {path}", "a live state", _START_AGAIN)
    return dict(scalars)


def _require_same(folder: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuse a state that was kept for other counters, kinds or items."""
    wanted = json.loads(json.dumps(wanted))
    for name in ("counters", "kinds", "items"):
        if found[name] != wanted[name]:
            raise BundleError(
                f"{name} {found[name]} in {folder}",
                f"{name} {wanted[name]}, as the bundle has them",
                _START_AGAIN,
            )


def _unreadable(path: Path, error: Exception) -> BundleError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return BundleError(f"{path} cannot be read: {reason}", "a live state", _START_AGAIN)
