"""Atomic writes: a file or folder is written whole or not at all."""

import ctypes
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a temporary path in the folder of `path`; it becomes `path` when the block succeeds.

    The file is on disk before it takes its place, and has it on disk when the block is left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        part.chmod(0o644)
        _flush(part)
        part.replace(path)
        _flush(path.parent)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder next to `path` to fill; it replaces `path` when the block succeeds.

    What stood at `path` before is replaced whole, and stays untouched when the block fails. The new
    files are on disk before they take its place; on Linux there is no moment without a folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    old = part.with_name(part.name + ".old")
    try:
        yield part
        part.chmod(0o755)
        for each in (part, *part.rglob("*")):
            _flush(each)
        if not (path.exists() and _exchange(part, path)):
            if path.exists():
                path.rename(old)
            part.rename(path)
        _flush(path.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if old.exists() and not path.exists():
            old.rename(path)
        shutil.rmtree(old, ignore_errors=True)


def _flush(path: Path) -> None:
    """Wait until a file, or the list of a folder's files, is on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step; False where system or file system cannot."""
    swap = getattr(ctypes.CDLL(None), "renameat2", None)
    here, flag = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return swap is not None and swap(here, bytes(one), here, bytes(other), flag) == 0


def sweep(folder: Path) -> None:
    """Remove what writers that were killed left behind in a folder, at any depth.

    Args:
        folder: A folder that nobody writes to at the moment.
    """
    for path in sorted(folder.rglob(".*")) if folder.is_dir() else ():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def file_hash(path: Path) -> str:
    """Give the SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all."""
    with atomic_file(path) as part:
        part.write_text(text, encoding="utf-8")


def write_parquet(frame: pl.DataFrame, path: Path) -> None:
    """Write a table whole or not at all."""
    with atomic_file(path) as part:
        frame.write_parquet(part)
