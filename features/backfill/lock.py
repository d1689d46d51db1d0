"""One backfill of a folder at a time: a lock that the system takes back when its holder dies."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from data_contracts.errors import UsageError

LOCK = "backfill.lock"


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Keep other backfills out of a folder for the while.

    The file stays behind, empty; what counts is the lock that the system keeps on it.

    Args:
        folder: What the backfill writes into; made when it is not there.

    Raises:
        UsageError: Another process has the lock; it says which.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise UsageError(
                f"a backfill of {folder} under way, by {holder}",
                "one backfill of a folder at a time",
                "wait for it, or stop that process; nothing needs to be removed",
            ) from error
        file.truncate(0)
        now = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
        file.write(f"process {os.getpid()} on {socket.gethostname()} since {now}")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)
