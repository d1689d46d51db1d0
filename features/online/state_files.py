"""An online state on disk: what the executor knows that its bundle does not hold already.

The features and the snapshots are not in it. A state that is loaded goes on bit for
bit as the saved one.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from data_contracts.array_file import ArrayFile, ArrayFormat, Arrays, ragged
from data_contracts.errors import BundleError
from data_contracts.storage import atomic_folder
from features.counter_spec import CounterSpec
from features.log.attribution.index import ImpressionIndex
from features.log.attribution.loops import WAYS
from features.log.catalogue_files import (
    catalogue_arrays,
    catalogue_head,
    catalogue_of,
    catalogue_strings,
)
from features.online.counters.keys import HashedKeys
from features.online.counters.table import CounterTable
from features.online.dedup import SeenIds
from features.online.events import EncodedEvents, ShownSlate
from features.online.history import OnlineHistory, PackedHistories
from features.online.items import GrowingCatalogue
from features.online.state import EventCounts, OnlineState, Retention
from features.online.users import Users

STATE_FILE = "state.safetensors"
FORMAT = ArrayFormat(
    "an online state",
    5,
    "begin with the bundle's state and fold the events since again",
    BundleError,
)


def save_state(state: OnlineState, folder: Path) -> None:
    """Write an online state; the folder is replaced whole.

    Args:
        state: The state.
        folder: Where to write.
    """
    users, shown = len(state.users), state.pending.shown
    arrays: Arrays = {
        f"history/{name}": array for name, array in vars(state.history.packed(users)).items()
    }
    for place, table in enumerate(state.tables.values()):
        arrays |= _table_arrays(f"tables/{place}/", table)
    arrays["users/seen"] = state.users.seen[:users]
    for name, seen in (("ids/", state.ids), ("visits/", state.visits)):
        arrays |= {f"{name}{part}": array for part, array in seen.arrays().items()}
    arrays["shown/known"] = np.array([slate.known for slate in shown], np.int64)
    arrays["shown/time"] = np.array([slate.time for slate in shown], np.int64)
    arrays["shown/user"] = np.array([slate.user for slate in shown], np.int64)
    arrays["shown/codes"] = np.array([slate.codes for slate in shown], np.int64).reshape(-1, WAYS)
    arrays |= ragged("shown/item", [slate.item for slate in shown], np.int32)
    arrays |= {f"attribution/{name}": array for name, array in state.attribution.laid_out().items()}
    pending = EncodedEvents.join(state.pending.arrivals)
    arrays["pending/numbers"] = pending.numbers
    # What was shown within a window may still lead to something, and counts by its version then.
    catalogue = state.catalogue.logged(state.clock - state.retention.window)
    strings = {
        "users/id": state.users.ids,
        "pending/event_id": pending.event_id,
        "shown/request_id": [slate.request_id for slate in shown],
    }
    with atomic_folder(folder) as new:
        FORMAT.write(
            new / STATE_FILE,
            arrays | catalogue_arrays(catalogue),
            _head(state) | catalogue_head(catalogue),
            strings | catalogue_strings(catalogue),
        )


def load_state(folder: Path, specs: Sequence[CounterSpec], kinds: tuple[str, ...]) -> OnlineState:
    """Read an online state that `save_state` wrote.

    Args:
        folder: The folder.
        specs: The counters of the features that will be computed.
        kinds: Kinds of events, from `event_kinds`.

    Returns:
        The state.

    Raises:
        BundleError: The file is missing or damaged, or the state was kept for other features.
    """
    with FORMAT.reading(folder / STATE_FILE) as file:
        head = file.head
        retention = Retention(
            head["history"], head["forget_days"], head["late_days"], head["window"]
        )
        catalogue = GrowingCatalogue(catalogue_of(file))
        state = OnlineState(specs, catalogue, kinds, retention, head["clock"])
        _require_same(file, _head(state))
        for place, table in enumerate(state.tables.values()):
            _fill_table(table, f"tables/{place}/", file)
        user_ids = file.strings("users/id")
        state.users = Users(user_ids)
        state.users.seen[: len(user_ids)] = file.array("users/seen", len(user_ids))
        state.users.free = list(head["free"])
        state.history = _histories(file, retention.history, len(user_ids))
        state.ids = SeenIds.of_arrays(file.part("ids/"))
        state.visits = SeenIds.of_arrays(file.part("visits/"))
        numbers = file.array("pending/numbers")
        state.pending.add(EncodedEvents(file.strings("pending/event_id"), numbers))
        shown = (file.array(f"shown/{part}").tolist() for part in ("known", "time", "user"))
        named = (file.strings("shown/request_id"), file.array("shown/codes"))
        slates = zip(*shown, file.ragged("shown/item"), *named, strict=True)
        state.pending.shown = [ShownSlate(*each) for each in slates]
        state.attribution = _attribution(file, retention.window)
        state.counts = EventCounts(**head["counts"])
    return state


def _head(state: OnlineState) -> dict[str, Any]:
    return {
        "clock": state.clock,
        "kinds": list(state.kinds),
        **asdict(state.retention),
        "counters": [asdict(spec) for spec in state.specs],
        "free": list(state.users.free),
        "counts": asdict(state.counts),
    }


def _histories(file: ArrayFile, k: int, users: int) -> OnlineHistory:
    count = file.array("history/count", users)
    total = int(count.sum())
    parts = [file.array(f"history/{name}", total) for name in ("item", "kind", "time")]
    return OnlineHistory.of_packed(k, PackedHistories(count, *parts))


def _attribution(file: ArrayFile, window: int) -> ImpressionIndex:
    try:
        return ImpressionIndex.laid_in(window, file.part("attribution/"))
    except KeyError as error:
        raise FORMAT.fault(f"no array attribution/{error.args[0]} in {file.path}") from error


def _table_arrays(prefix: str, table: CounterTable) -> Arrays:
    used = table.keys.rows_used
    table.make_room()
    codes = table.keys.codes if isinstance(table.keys, HashedKeys) else np.zeros(0, np.int64)
    arrays = {"codes": codes, "totals": table.totals[:used], "ends": table.ends[:used]}
    for series in table.series.values():
        for tiles in series.tiles:
            name = f"{series.spec.name}/{tiles.length}"
            arrays |= {f"{name}/{part}": array for part, array in tiles.laid_out().items()}
    return {f"{prefix}{name}": array for name, array in arrays.items()}


def _fill_table(table: CounterTable, prefix: str, file: ArrayFile) -> None:
    totals = file.array(f"{prefix}totals")
    if isinstance(table.keys, HashedKeys):
        # Row 0 stands for keys without events and has no code.
        table.keys = HashedKeys(file.array(f"{prefix}codes", len(totals) - 1))
    else:
        table.keys.rows_used = len(totals)
    table.make_room()
    table.totals[: len(totals)] = totals
    table.ends[: len(totals)] = file.array(f"{prefix}ends", len(totals))
    for series in table.series.values():
        for tiles in series.tiles:
            tiles.lay_in(file.part(f"{prefix}{series.spec.name}/{tiles.length}/"))


def _require_same(file: ArrayFile, wanted: dict[str, Any]) -> None:
    """Refuse a state that was kept for other counters or kinds."""
    wanted = json.loads(json.dumps(wanted))
    for name in ("counters", "kinds"):
        if file.head[name] != wanted[name]:
            raise BundleError(
                f"{name} {file.head[name]} in {file.path}",
                f"{name} {wanted[name]}, as the bundle has them",
                FORMAT.action,
            )
