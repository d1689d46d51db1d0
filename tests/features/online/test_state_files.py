"""Refusals of an online state on disk; that a loaded one goes on the same is in test_executor."""

from dataclasses import replace
from pathlib import Path

import pytest

from data_contracts.errors import BundleError
from features.defaults import default_features
from features.feature_set import FeatureSet
from features.log.events import event_kinds
from features.log.log import Log
from features.online.state_files import FORMAT, STATE_FILE, load_state
from tests.features.online.replay import empty
from tests.features.worlds import FEATURES, KINDS, SETTINGS, SHOP


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return SHOP.open(tmp_path / "rows", SETTINGS)


@pytest.fixture
def folder(log: Log, tmp_path: Path) -> Path:
    empty(SHOP, log, lambda _: None).save(tmp_path / "state")
    return tmp_path / "state"


def _refusal(folder: Path, log: Log, features: FeatureSet = FEATURES) -> str:
    with pytest.raises(BundleError) as refused:
        load_state(folder, features.counters, event_kinds(KINDS))
    assert "fold the events since again" in refused.value.action
    return refused.value.found


@pytest.mark.parametrize("content", [None, b"", b"\0 not a file"])
def test_a_missing_or_damaged_file_is_named(folder: Path, log: Log, content: bytes | None) -> None:
    (folder / STATE_FILE).unlink()
    if content is not None:
        (folder / STATE_FILE).write_bytes(content)
    assert STATE_FILE in _refusal(folder, log)


def test_each_array_and_each_part_of_the_head_is_missed(folder: Path, log: Log) -> None:
    with FORMAT.reading(folder / STATE_FILE) as file:
        head, arrays = dict(file.head), file.part("")
    for name in head.keys() - {"format"}:
        FORMAT.write(folder / STATE_FILE, arrays, {k: v for k, v in head.items() if k != name})
        assert name in _refusal(folder, log)
    for name in (
        "history/time",
        "ids/days",
        "shown/item",
        "tables/0/totals",
        "users/id",
        "attribution/young/led",
    ):
        FORMAT.write(folder / STATE_FILE, {k: v for k, v in arrays.items() if k != name}, head)
        assert name.rpartition("/")[2] in _refusal(folder, log)


def test_a_state_of_another_format_or_of_other_features_is_refused(folder: Path, log: Log) -> None:
    other = default_features(SETTINGS, ("buy",), logged=False)
    assert "counters" in _refusal(folder, log, other)
    replace(FORMAT, version=1).write(folder / STATE_FILE, {})
    assert "an online state, format 1" in _refusal(folder, log)
