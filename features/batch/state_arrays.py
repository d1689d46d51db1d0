"""A counter, its tiles and the recent history as named arrays, for files of a feature state."""

from collections.abc import Mapping, MutableMapping

import numpy as np

from data_contracts.array_file import ArrayFile, Arrays, ragged
from features.batch.counters.counter import Counter
from features.batch.counters.tile_files import TILE_PARTS
from features.batch.counters.tiles import Tile
from features.batch.history import RecentHistory
from features.counter_spec import CounterSpec
from features.log.events import EVENT_ARRAYS, Events

_ROWS = ("totals", "first", "last")


def counter_arrays(counter: Counter, prefix: str, *, tiles: bool) -> Arrays:
    """Name the arrays of a counter; forgotten keys are left out.

    Args:
        counter: The counter; it is tidied.
        prefix: Begins each name.
        tiles: Whether the tiles of the days behind are among them, beside those of late events.

    Returns:
        Arrays by name.
    """
    counter.tidy()
    rows = {f"{prefix}{part}": getattr(counter, part) for part in ("codes", *_ROWS)}
    arrays = {name: array[: counter.size] for name, array in rows.items()}
    arrays |= _tile_arrays(counter.late, f"{prefix}late/")
    return arrays | (_tile_arrays(counter.tiles, f"{prefix}tiles/") if tiles else {})


def counter_of(
    file: ArrayFile,
    prefix: str,
    spec: CounterSpec,
    day: int,
    tiles: MutableMapping[int, Tile] | None = None,
) -> Counter:
    """Put together a counter from the arrays that `counter_arrays` named.

    Args:
        file: Where they are.
        prefix: Begins each name.
        spec: What is counted.
        day: Day number of the state's midnight.
        tiles: The tiles of the days behind; None for those of the file.

    Returns:
        The counter.
    """
    codes = file.array(f"{prefix}codes")
    totals, first, last = (file.array(f"{prefix}{part}", len(codes)) for part in _ROWS)
    behind = _tiles_of(file, f"{prefix}tiles/") if tiles is None else tiles
    late = _tiles_of(file, f"{prefix}late/")
    return Counter(spec, day, codes, totals, first, last, behind, late)


def recent_arrays(recent: RecentHistory, prefix: str) -> Arrays:
    """Name the arrays of the last interactions."""
    return {f"{prefix}{part}": getattr(recent.events, part) for part in EVENT_ARRAYS}


def events_of(file: ArrayFile, prefix: str, kinds: tuple[str, ...]) -> Events:
    """Put together the interactions whose arrays `recent_arrays` named."""
    count = len(file.mapped(f"{prefix}{EVENT_ARRAYS[0]}"))
    return Events.of([file.array(f"{prefix}{part}", count) for part in EVENT_ARRAYS], kinds)


def _tile_arrays(tiles: Mapping[int, Tile], prefix: str) -> Arrays:
    arrays = {f"{prefix}days": np.array(sorted(tiles), np.int64)}
    for part in TILE_PARTS:
        pieces = [getattr(tiles[day], part) for day in sorted(tiles)]
        arrays |= ragged(f"{prefix}{part}", pieces, np.int64)
    return arrays


def _tiles_of(file: ArrayFile, prefix: str) -> dict[int, Tile]:
    days = file.array(f"{prefix}days").tolist()
    pieces = [file.ragged(f"{prefix}{part}", len(days)) for part in TILE_PARTS]
    return {day: Tile(*parts) for day, *parts in zip(days, *pieces, strict=True)}
