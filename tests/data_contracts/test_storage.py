import threading
from pathlib import Path

import polars as pl
import pytest

from data_contracts import storage
from data_contracts.storage import atomic_file, atomic_folder, write_parquet


class InterruptedWriteError(Exception):
    """Stands for whatever may end a write half way."""


def write_half_a_file(path: Path) -> None:
    with atomic_file(path) as part:
        part.write_text("half")
        raise InterruptedWriteError


def write_half_a_folder(path: Path) -> None:
    with atomic_folder(path) as part:
        (part / "new").write_text("half")
        raise InterruptedWriteError


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_a_file_appears_whole_in_a_new_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    with atomic_file(path) as part:
        part.write_text("half")
        assert not path.exists()
        part.write_text("whole")
    assert path.read_text() == "whole"
    assert names(path.parent) == ["file"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(InterruptedWriteError):
        write_half_a_file(path)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    for version in ("1", "2"):
        with atomic_folder(path) as part:
            (part / f"file-{version}").write_text(version)
    assert names(path) == ["file-2"]
    assert names(tmp_path) == ["bundle"]


@pytest.mark.parametrize("existed", [True, False])
def test_a_failed_folder_leaves_what_was_there(existed: bool, tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    if existed:
        path.mkdir()
        (path / "old").write_text("old")
    with pytest.raises(InterruptedWriteError):
        write_half_a_folder(path)
    assert names(tmp_path) == (["bundle"] if existed else [])
    assert not existed or names(path) == ["old"]


def write_version(path: Path, version: str) -> None:
    with atomic_folder(path) as part:
        (part / "inside").mkdir()
        (part / "inside" / "file").write_text(version)


def test_a_reader_finds_a_folder_at_every_moment_of_a_replacement(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    write_version(path, "0")
    done = threading.Event()
    missing = []

    def look() -> None:
        while not done.is_set():
            try:
                path.stat()
            except FileNotFoundError:
                missing.append(path)

    reader = threading.Thread(target=look)
    reader.start()
    for version in range(200):
        write_version(path, str(version))
    done.set()
    reader.join()
    assert not missing


def test_a_folder_is_replaced_where_the_system_cannot_swap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_exchange", lambda one, other: False)
    test_a_folder_is_replaced_whole(tmp_path)


def test_everything_is_on_disk_before_it_takes_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bundle"
    write_version(path, "old")
    flushed: list[tuple[str, str]] = []

    def note(each: Path) -> None:
        flushed.append((each.name, (path / "inside" / "file").read_text()))

    monkeypatch.setattr(storage, "_flush", note)
    write_version(path, "new")
    before = [name for name, found in flushed if found == "old"]
    assert sorted(before)[1:] == ["file", "inside"]
    assert [name for name, found in flushed if found == "new"] == [tmp_path.name]


def test_a_file_is_on_disk_before_it_takes_the_place_and_its_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    flushed: list[tuple[bool, str]] = []
    monkeypatch.setattr(
        storage, "_flush", lambda each: flushed.append((each.is_dir(), path.read_text()))
    )
    with atomic_file(path) as part:
        part.write_text("new")
    assert flushed == [(False, "old"), (True, "new")]


def test_a_table_is_written_whole(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": [1, 2]})
    write_parquet(frame, tmp_path / "t.parquet")
    assert pl.read_parquet(tmp_path / "t.parquet").equals(frame)
    assert names(tmp_path) == ["t.parquet"]
