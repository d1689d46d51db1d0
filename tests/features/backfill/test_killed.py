"""A backfill that is killed at any moment goes on and ends with the bytes of a calm one."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.features.backfill.test_run import assert_same_files
from tests.features.worlds import SHOP

_BACKFILL = """
import os, signal, sys
from pathlib import Path
from features.backfill import run
from tests.features.worlds import FEATURES, SETTINGS, SHOP

folder, renames = Path(sys.argv[1]), int(sys.argv[2])
run.BLOCK_ROWS = 4
replace = Path.replace


def counted(self, target):
    global renames
    renames -= 1
    if not renames:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)


Path.replace = counted
run.backfill(SHOP.open(folder), FEATURES, SETTINGS, folder)
"""


@pytest.mark.slow
def test_killed_between_any_two_files_it_ends_with_the_same_bytes(tmp_path: Path) -> None:
    SHOP.backfill(tmp_path / "calm")
    killed = 0
    for renames in (3, 20, 60, 140):
        command = [sys.executable, "-c", _BACKFILL, str(tmp_path / "killed"), str(renames)]
        killed += subprocess.run(command, check=False).returncode == -9
    assert killed > 1
    SHOP.backfill(tmp_path / "killed")
    assert_same_files(tmp_path / "calm", tmp_path / "killed")
