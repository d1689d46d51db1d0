"""Files of arrays: what was written comes back, and what does not fit is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_contracts.array_file import ArrayFormat, ragged
from data_contracts.errors import BundleError, DataError

FORMAT = ArrayFormat("a thing", 3, "make it again")
DTYPES = ["?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"]
PIECES = [np.array([1, 2]), np.zeros(0, np.int64), np.array([3])]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    arrays = {name: np.arange(6).astype(name).reshape(3, 2) for name in DTYPES}
    arrays |= {"none": np.zeros((0, 4), np.float32), "one": np.array(5.0)}
    arrays |= ragged("pieces", PIECES, np.int64) | ragged("no_pieces", [], np.int16)
    strings = {"names": ["", "ü \0 1", "\U0001f600", None]}
    FORMAT.write(tmp_path / "folder" / "file", arrays, {"inputs": "abc"}, strings)
    return tmp_path / "folder" / "file"


def test_all_that_was_written_comes_back(path: Path) -> None:
    with FORMAT.reading(path) as file:
        assert file.head["inputs"] == "abc"
        for name in DTYPES:
            found = file.array(name, 3)
            assert found.dtype == np.dtype(name)
            np.testing.assert_array_equal(found, np.arange(6).astype(name).reshape(3, 2))
        assert file.array("none").shape == (0, 4)
        assert file.array("one").shape == ()
        assert file.strings("names") == ["", "ü \0 1", "\U0001f600", None]
        for found, piece in zip(file.ragged("pieces", 3), PIECES, strict=True):
            np.testing.assert_array_equal(found, piece)
        assert file.ragged("no_pieces", 0) == []
        assert file.part("u").keys() == {"1", "2", "4", "8"}
        assert set(file.entries) > set(DTYPES)
    assert FORMAT.head(path)["inputs"] == "abc"


def test_a_mapped_array_stays_in_the_file_and_a_loaded_one_is_a_copy(path: Path) -> None:
    with FORMAT.reading(path) as file:
        mapped, loaded = file.mapped("f4"), file.array("f4")
    assert type(mapped) is np.ndarray
    assert not mapped.flags.writeable
    loaded[:] = 9
    np.testing.assert_array_equal(mapped, np.arange(6).reshape(3, 2))


def test_equal_contents_are_equal_files_that_everyone_may_read(path: Path) -> None:
    with FORMAT.reading(path) as file:
        FORMAT.write(path.with_name("again"), file.part(""), file.head)
    assert path.with_name("again").read_bytes() == path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("content", [None, b"", b"\x05", b"\x10\0\0\0\0\0\0\0no json at all.."])
def test_a_missing_or_damaged_file_is_refused(path: Path, content: bytes | None) -> None:
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"file cannot be read: .*a thing, format 3.*make it again"):
        _open(path)
    assert FORMAT.head(path) == {}


def test_a_file_cut_short_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="bytes instead of"):
        _open(path)


def test_another_format_is_refused(path: Path) -> None:
    newer = replace(FORMAT, version=4, error=BundleError)
    with pytest.raises(BundleError, match=r"a thing, format 3 in .*expected: a thing, format 4"):
        _open(path, newer)
    assert newer.head(path) == {}


def test_what_a_reader_misses_is_named(path: Path) -> None:
    with pytest.raises(DataError, match="no array f5"), FORMAT.reading(path) as file:
        file.array("f5")
    with (
        pytest.raises(DataError, match=r"3 rows instead of 4.* f4"),
        FORMAT.reading(path) as file,
    ):
        file.array("f4", 4)
    with pytest.raises(DataError, match="no list of strings f4"), FORMAT.reading(path) as file:
        file.strings("f4")
    with pytest.raises(DataError, match="'day'"), FORMAT.reading(path) as file:
        assert file.head["day"]


def _open(path: Path, form: ArrayFormat = FORMAT) -> None:
    with form.reading(path):
        pass
