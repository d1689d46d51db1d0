import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.features.backfill import main as backfill_main
from benchmarks.features.baselines import Part, main, require_equal
from benchmarks.features.cost import measure

ROOT = Path(__file__).parents[3]


def test_ours_and_plain_python_are_compared_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(tmp_path), "--events", "20k", "--without-feast"])
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["ours"]["columns"] > 20
    assert told["ours"]["rows"] == told["plain_python"]["rows"] > 1_000
    assert told["ours_over_plain_python"] > 0
    assert told["ours_over_plain_scan"] > 0


def test_values_that_differ_stop_the_comparison() -> None:
    names = ["a", "b", "c", "d"]
    values = np.arange(2 * len(names)).reshape(2, -1)
    mine = Part(names, 1.0, 1.0, values, np.arange(2))
    require_equal(mine, Part(names, 1.0, 1.0, values[1:], np.array([1])), "other")
    other = values[1:].copy()
    other[0, 3] += 1
    with pytest.raises(RuntimeError, match=r"other and ours differ in 1 of .* row 1, d"):
        require_equal(mine, Part(names, 1.0, 1.0, other, np.array([1])), "other")


@pytest.mark.slow
def test_the_backfill_of_small_logs_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    backfill_main([str(tmp_path), "--events", "15k", "--no-scaling"])
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["speed"]["rows"] > 10_000
    assert told["speed"]["columns"] > 40
    assert 0.05 < told["speed"]["peak_gb"] < 4


def test_memory_counts_children_and_a_failure_is_an_error(tmp_path: Path) -> None:
    hold = "import time; kept = bytearray(b'x') * 60_000_000; time.sleep(1)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}])"
    cost = measure([sys.executable, "-c", parent], tmp_path / "log")
    assert cost.peak_bytes > 60_000_000
    assert cost.seconds > 1
    with pytest.raises(RuntimeError, match="ended with 3"):
        measure([sys.executable, "-c", "raise SystemExit(3)"], tmp_path / "log")
