"""The tiles of the days behind, in files: a window that leaves a day reads it back."""

from collections import OrderedDict
from collections.abc import Iterator, MutableMapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from data_contracts.errors import DataError
from data_contracts.storage import atomic_file
from features.snapshot_files import day_name
from features.tiles import Tile

_PARTS = ("codes", "moments", "running", "starts")
_IN_MEMORY = 5


class StoredTiles(MutableMapping[int, Tile]):
    """The tiles of one counter by day number; the last used ones are in memory as well.

    A tile of a day is the same whoever makes it, so several processes may share the folder.
    Forgetting a day leaves its file, which a run from an earlier checkpoint would read again.

    Args:
        folder: One file a day.
        days: The days that are there.
        writes: Whether new tiles become files; otherwise another process makes them.
    """

    def __init__(self, folder: Path, days: set[int], *, writes: bool) -> None:
        self._folder = folder
        self._days = days
        self._writes = writes
        self._last: OrderedDict[int, Tile] = OrderedDict()

    def __getitem__(self, day: int) -> Tile:
        """Read the tile of a day."""
        if day not in self._days:
            raise KeyError(day)
        tile = self._last.get(day)
        if tile is None:
            tile = _load(tile_file(self._folder, day))
        self._remember(day, tile)
        return tile

    def __setitem__(self, day: int, tile: Tile) -> None:
        """Keep the tile of a day."""
        self._days.add(day)
        self._remember(day, tile)
        if self._writes:
            with atomic_file(tile_file(self._folder, day)) as part:
                save_file({name: getattr(tile, name) for name in _PARTS}, part)

    def __delitem__(self, day: int) -> None:
        """Forget a day."""
        self._days.remove(day)
        self._last.pop(day, None)

    def __iter__(self) -> Iterator[int]:
        """Give the days, ascending."""
        return iter(sorted(self._days))

    def __len__(self) -> int:
        return len(self._days)

    def _remember(self, day: int, tile: Tile) -> None:
        self._last[day] = tile
        self._last.move_to_end(day)
        if len(self._last) > _IN_MEMORY:
            self._last.popitem(last=False)


def tile_file(folder: Path, day: int) -> Path:
    """Name the file of a day's tile."""
    return folder / f"{day_name(day)}.safetensors"


def _load(path: Path) -> Tile:
    try:
        arrays = load_file(path)
        return Tile(*(arrays[name] for name in _PARTS))
    except (OSError, KeyError, SafetensorError) as error:
        raise DataError(
            f"{path} cannot be read: {error}",
            "a tile that an earlier day of the backfill left",
            "run `recsys backfill --again`",
        ) from error
