"""One day of a catalogue that changes is one day of work."""

import json
from pathlib import Path

import pytest

from benchmarks.features import daily_changes


@pytest.fixture(autouse=True)
def _small_shop(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("DAYS", 8), ("USERS", 60), ("REQUESTS_A_DAY", 15)):
        monkeypatch.setattr(daily_changes, name, value)


def test_the_last_day_alone_is_computed_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    daily_changes.main([str(tmp_path), "--items", "120", "--changes", "0.1", "--rounds", "1"])
    told = capsys.readouterr().out.splitlines()
    figures = json.loads(told[-1])
    assert figures["ratio"] > 0
    still, changing = (line for line in told if line.split(":")[0] in ("still", "changing"))
    assert ", 0 of the last day" in still
    assert ", 0 of the last day" not in changing
