"""The tiles of the days behind, in files: a window that leaves a day reads it back.

A file holds a run of days of one counter, so that a long log is not a file for each of its days.
"""

from collections import OrderedDict
from collections.abc import Iterator, MutableMapping
from pathlib import Path

from data_contracts.array_file import ArrayFormat
from data_contracts.errors import DataError
from features.arrays.clock import day_name, day_number
from features.batch.counters.tiles import Tile

TILE_PARTS = ("codes", "moments", "running", "starts")
FORMAT = ArrayFormat(
    "tiles that earlier days of the backfill left", 2, "run `recsys backfill --again`"
)
_PATTERN = "*.safetensors"
_DATE = len("2024-02-29")
_KEPT_EVENTS = 200_000
"""Events of the last used days that stay in memory, but for one day at least: some 6 MB."""
_FILE_EVENTS = 100_000
"""Events of the days that wait for a file, at the most: some 3 MB."""


class StoredTiles(MutableMapping[int, Tile]):
    """The tiles of one counter by day number; the last used ones are in memory as well.

    A tile of a day is the same whoever makes it, so several processes may share the folder.
    Forgetting a day leaves its file, which a run from an earlier checkpoint would read again.

    Args:
        folder: Where the files are.
        since: The oldest day that a window may ask for.
        before: Days from this one on are not there yet, whatever the files have.
        writes: Whether new tiles become files; otherwise another process makes them.
    """

    def __init__(self, folder: Path, since: int, before: int, *, writes: bool) -> None:
        self._folder = folder
        self._files = stored_days(folder, since)
        self._days = {day for day in self._files if since <= day < before}
        self._writes = writes
        self._waiting: dict[int, Tile] = {}
        self._waiting_events = 0
        self._last: OrderedDict[int, Tile] = OrderedDict()
        self._kept = 0

    def __getitem__(self, day: int) -> Tile:
        """Read the tile of a day."""
        if day not in self._days:
            raise KeyError(day)
        tile = self._waiting.get(day) or self._last.get(day) or self._load(day)
        self._remember(day, tile)
        return tile

    def __setitem__(self, day: int, tile: Tile) -> None:
        """Keep the tile of a day."""
        self._days.add(day)
        self._drop(day)
        self._remember(day, tile)
        if self._writes:
            self._waiting[day] = tile
            self._waiting_events += len(tile.moments)
            if self._waiting_events > _FILE_EVENTS:
                self.flush()

    def __delitem__(self, day: int) -> None:
        """Forget a day."""
        self._days.remove(day)
        self._drop(day)

    def __iter__(self) -> Iterator[int]:
        """Give the days, ascending."""
        return iter(sorted(self._days))

    def __len__(self) -> int:
        return len(self._days)

    def flush(self) -> None:
        """Write the tiles that wait for a file; a state that is saved needs them there."""
        if not self._waiting:
            return
        path = self._folder / f"{day_name(min(self._waiting))}_{day_name(max(self._waiting))}"
        path = path.with_suffix(".safetensors")
        arrays = {
            _array(day, part): getattr(tile, part)
            for day, tile in self._waiting.items()
            for part in TILE_PARTS
        }
        FORMAT.write(path, arrays)
        self._files |= dict.fromkeys(self._waiting, path)
        self._waiting, self._waiting_events = {}, 0

    def _load(self, day: int) -> Tile:
        path = self._files.get(day)
        if path is None:
            raise FORMAT.fault(f"no file has the tile of {day_name(day)} in {self._folder}")
        with FORMAT.reading(path) as file:
            return Tile(*(file.array(_array(day, part)) for part in TILE_PARTS))

    def _remember(self, day: int, tile: Tile) -> None:
        if day not in self._last:
            self._kept += len(tile.moments)
        self._last[day] = tile
        self._last.move_to_end(day)
        while self._kept > _KEPT_EVENTS and len(self._last) > 1:
            self._drop(next(iter(self._last)))

    def _drop(self, day: int) -> None:
        tile = self._last.pop(day, None)
        self._kept -= 0 if tile is None else len(tile.moments)


def stored_days(folder: Path, since: int) -> dict[int, Path]:
    """Find the file of each day that a folder has a tile of, from the files that reach a day."""
    found: dict[int, Path] = {}
    for path in _files_to(folder, since):
        try:
            with FORMAT.reading(path) as file:
                days = {name.partition("/")[0] for name in file.entries}
        except DataError:
            if not path.exists():
                # Another process has just removed what no window reaches any more.
                continue
            raise
        found |= dict.fromkeys(map(day_number, days), path)
    return found


def drop_from(folder: Path, day: int) -> None:
    """Remove the files that have a day or a later one."""
    for path in _files_to(folder, day):
        path.unlink(missing_ok=True)


def drop_before(folder: Path, day: int) -> None:
    """Remove the files whose days all lie before a day."""
    kept = set(_files_to(folder, day))
    for path in folder.glob(_PATTERN):
        if path not in kept:
            path.unlink(missing_ok=True)


def _files_to(folder: Path, day: int) -> list[Path]:
    """Give the files whose last day is a day or a later one, by their first day."""
    return [path for path in sorted(folder.glob(_PATTERN)) if path.stem[-_DATE:] >= day_name(day)]


def _array(day: int, part: str) -> str:
    return f"{day_name(day)}/{part}"
