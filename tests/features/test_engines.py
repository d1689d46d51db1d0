"""Whoever computes the blocks of days, the bytes are the same."""

from pathlib import Path

import pytest

from features import backfill as backfill_module
from features.backfill import Scope, backfill
from tests.features.test_backfill import assert_same_files
from tests.features.worlds import FEATURES, SETTINGS, SHOP


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill_module, "BLOCK_ROWS", 4)


def _run(folder: Path, scope: Scope) -> Path:
    backfill(SHOP.open(folder), FEATURES, SETTINGS, folder, scope)
    return folder


def test_threads_that_write_beside_the_walk_leave_the_same_bytes(tmp_path: Path) -> None:
    one = _run(tmp_path / "one", Scope())
    assert_same_files(one, _run(tmp_path / "two", Scope(workers=3)))


@pytest.mark.slow
@pytest.mark.serve
def test_workers_of_a_ray_cluster_write_the_same_bytes(tmp_path: Path) -> None:
    one = _run(tmp_path / "one", Scope())
    assert_same_files(one, _run(tmp_path / "two", Scope(engine="ray", workers=2)))
