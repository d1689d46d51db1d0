"""Tiles in files: what was kept comes back, whichever file it went to."""

from pathlib import Path

import numpy as np
import pytest

from data_contracts.errors import DataError
from features.batch.counters import tile_files
from features.batch.counters.tile_files import StoredTiles, drop_before, drop_from, stored_days
from features.batch.counters.tiles import Tile

FIRST = 19_780


def _tile(day: int) -> Tile:
    codes = np.array([day, 7, day], np.int64)
    return Tile.of(codes, np.array([1, 2, 3], np.int64), np.array([1, 1, day], np.int64))


def _same(one: Tile, other: Tile) -> bool:
    parts = ("codes", "moments", "running", "starts")
    return all(np.array_equal(getattr(one, part), getattr(other, part)) for part in parts)


def _written(folder: Path, days: range) -> StoredTiles:
    tiles = StoredTiles(folder, FIRST, FIRST, writes=True)
    for day in days:
        tiles[day] = _tile(day)
    tiles.flush()
    return tiles


def test_days_come_back_from_memory_and_from_files(tmp_path: Path) -> None:
    days = range(FIRST, FIRST + 12)
    tiles = _written(tmp_path, days)
    again = StoredTiles(tmp_path, FIRST, days.stop, writes=False)
    assert list(tiles) == list(again) == list(days)
    assert len(list(tmp_path.iterdir())) == 1
    for day in days:
        assert _same(tiles[day], _tile(day))
        assert _same(again[day], _tile(day))


def test_many_events_go_to_a_file_before_the_state_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tile_files, "_FILE_EVENTS", 10)
    tiles = StoredTiles(tmp_path, FIRST, FIRST, writes=True)
    for day in range(FIRST, FIRST + 7):
        tiles[day] = _tile(day)
    # Three events a day, so that every fourth day passes ten.
    assert sorted(stored_days(tmp_path, FIRST)) == list(range(FIRST, FIRST + 4))
    tiles.flush()
    assert len(list(tmp_path.iterdir())) == 2
    assert all(_same(tiles[day], _tile(day)) for day in tiles)


def test_days_outside_are_not_there(tmp_path: Path) -> None:
    _written(tmp_path, range(FIRST, FIRST + 6))
    tiles = StoredTiles(tmp_path, FIRST + 2, FIRST + 4, writes=False)
    assert list(tiles) == [FIRST + 2, FIRST + 3]
    with pytest.raises(KeyError):
        _ = tiles[FIRST + 4]
    del tiles[FIRST + 2]
    assert FIRST + 2 not in tiles


def test_whole_files_are_dropped(tmp_path: Path) -> None:
    for low in (FIRST, FIRST + 3, FIRST + 6):
        _written(tmp_path, range(low, low + 3))
    drop_from(tmp_path, FIRST + 7)
    assert sorted(stored_days(tmp_path, FIRST)) == list(range(FIRST, FIRST + 6))
    assert sorted(stored_days(tmp_path, FIRST + 3)) == [FIRST + 3, FIRST + 4, FIRST + 5]
    drop_before(tmp_path, FIRST + 4)
    assert sorted(stored_days(tmp_path, FIRST)) == [FIRST + 3, FIRST + 4, FIRST + 5]


def test_a_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    _written(tmp_path, range(FIRST, FIRST + 2))
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(DataError, match="--again"):
        StoredTiles(tmp_path, FIRST, FIRST + 2, writes=False)


def test_a_tile_that_no_file_has_is_no_empty_one(tmp_path: Path) -> None:
    tiles = StoredTiles(tmp_path, FIRST, FIRST, writes=False)
    for day in range(FIRST, FIRST + 3):
        tiles[day] = _tile(day)
    tiles._drop(FIRST)
    with pytest.raises(DataError, match="no file has the tile"):
        tiles.get(FIRST)
