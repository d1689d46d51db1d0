"""Two backfills of a folder do not meet, and a dead one bars nobody."""

import subprocess
import sys
from pathlib import Path

import pytest

from data_contracts.errors import UsageError
from features.backfill.lock import folder_lock
from features.backfill.run import backfill
from tests.features.worlds import FEATURES, SETTINGS, SHOP

_HOLD = """
import sys, time
from pathlib import Path
from features.backfill.lock import folder_lock
with folder_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_backfill_is_told_who_is_at_it_until_that_process_dies(tmp_path: Path) -> None:
    log = SHOP.open(tmp_path)
    command = [sys.executable, "-c", _HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(UsageError, match=f"by process {holder.pid} on .* since 2"):
            backfill(log, FEATURES, SETTINGS, tmp_path)
        holder.kill()
        holder.wait()
    assert backfill(log, FEATURES, SETTINGS, tmp_path).rows


def test_an_error_inside_frees_the_folder(tmp_path: Path) -> None:
    message = "inside"
    with pytest.raises(RuntimeError, match=message), folder_lock(tmp_path / "f"):
        raise RuntimeError(message)
    with folder_lock(tmp_path / "f"):
        assert (tmp_path / "f").is_dir()
