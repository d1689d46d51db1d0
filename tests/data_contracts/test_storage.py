from pathlib import Path

import polars as pl
import pytest

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


def test_a_table_is_written_whole(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": [1, 2]})
    write_parquet(frame, tmp_path / "t.parquet")
    assert pl.read_parquet(tmp_path / "t.parquet").equals(frame)
    assert names(tmp_path) == ["t.parquet"]
