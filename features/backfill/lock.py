"""The lock of a backfill's folder: one backfill at a time; a process that died holds none."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from data_contracts.errors import UsageError

LOCK = "backfill.lock"


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, whose file says who holds it and is empty when nobody does.

    Args:
        folder: Folder that the backfill writes into; made when it does not exist.

    Raises:
        UsageError: Another process holds the lock: its number, its host and since when.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    try:
        lock = FileLock(path, blocking=False).acquire()
    except Timeout as error:
        raise UsageError(
            f"a backfill of {folder} under way, by {path.read_text() or 'another process'}",
            "one backfill of a folder at a time",
            "wait for it, or stop that process; nothing needs to be removed",
        ) from error
    now = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
    with lock:
        path.write_text(f"process {os.getpid()} on {socket.gethostname()} since {now}")
        try:
            yield
        finally:
            path.write_text("")
