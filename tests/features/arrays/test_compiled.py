"""Kept machine code is used again only for what it was made of."""

import subprocess
import sys
from pathlib import Path

import pytest

LOOPS = """
from features.arrays.compiled import compiled
from settings import PRICE, TABLE
from shared import tripled

@compiled
def total(count):
    return tripled(count) * PRICE + TABLE[0]
"""
SETTINGS = """
import numpy as np
PRICE = 2
TABLE = np.arange(2000)
"""
SHARED = """
from features.arrays.compiled import compiled

@compiled
def tripled(count):
    return 3 * count
"""
CHANGES = {
    "a constant": ("settings.py", "PRICE = 2", "PRICE = 7", 7 * 3 * 10),
    "an array": ("settings.py", "np.arange(2000)", "np.arange(2000) + 5", 2 * 3 * 10 + 5),
    "a loop": ("shared.py", "3 * count", "4 * count", 2 * 4 * 10),
}


def _total(folder: Path) -> tuple[int, bool]:
    """Run the loop in a process of its own: its result, and whether kept code was used."""
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "from loops import total; print(total(10), sum(total.stats.cache_hits.values()))",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    result, hits = told.stdout.split()
    return int(result), hits == "1"


@pytest.mark.parametrize("change", CHANGES)
def test_code_made_with_what_another_module_had_is_not_used_again(
    tmp_path: Path, change: str
) -> None:
    modules = {"loops.py": LOOPS, "settings.py": SETTINGS, "shared.py": SHARED}
    for name, text in modules.items():
        (tmp_path / name).write_text(text)

    assert _total(tmp_path) == (2 * 3 * 10, False)
    assert _total(tmp_path) == (2 * 3 * 10, True)

    name, old, new, expected = CHANGES[change]
    (tmp_path / name).write_text(modules[name].replace(old, new))
    assert _total(tmp_path) == (expected, False)
