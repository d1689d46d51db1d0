"""Whoever computes the blocks of days, the bytes are the same."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from features.arrays.clock import DAY
from features.backfill import engines
from features.backfill import run as backfill_module
from features.backfill.days import BackfillJob, DayResult, walk_block
from features.backfill.engines import Block
from features.backfill.run import Scope, backfill
from features.backfill.snapshots import SnapshotStore
from features.batch.counters import tile_files
from features.feature_set import FeatureSet
from features.kinds.base import Feature
from features.log import arrivals as log_opening
from features.log import log as log_days
from features.snapshots.snapshot import Snapshot
from tests.features.backfill.test_run import assert_same_files
from tests.features.worlds import FEATURES, FIRST, SETTINGS, SHOP


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill_module, "BLOCK_ROWS", 4)


def _run(folder: Path, scope: Scope, features: FeatureSet = FEATURES) -> Path:
    backfill(SHOP.open(folder), features, SETTINGS, folder, scope)
    return folder


def test_threads_that_write_beside_the_walk_leave_the_same_bytes(tmp_path: Path) -> None:
    one = _run(tmp_path / "one", Scope())
    assert_same_files(one, _run(tmp_path / "two", Scope(workers=3)))


class _Neighbour:
    """Computes blocks as a worker of a cluster would, in this process."""

    def __init__(self, job: BackfillJob) -> None:
        self._job = job

    def submit(self, block: Block) -> Callable[[], list[DayResult]]:
        return lambda: walk_block(self._job, *block)


@pytest.mark.parametrize("count", [6, len(FEATURES.features)])
def test_blocks_computed_apart_leave_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    @contextmanager
    def pool(job: BackfillJob, workers: int) -> Iterator[_Neighbour]:
        yield _Neighbour(job)

    monkeypatch.setattr(backfill_module, "ray_pool", pool)
    features = FeatureSet(FEATURES.features[:count])
    one = _run(tmp_path / "one", Scope(), features)
    assert_same_files(one, _run(tmp_path / "two", Scope(engine="ray", workers=2), features))


def test_files_of_few_events_and_checkpoints_at_every_block_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = _run(tmp_path / "one", Scope())
    monkeypatch.setattr(tile_files, "_FILE_EVENTS", 3)
    monkeypatch.setattr(tile_files, "_KEPT_EVENTS", 2)
    monkeypatch.setattr(engines, "_SAVE_EVERY", 1)
    for module in (log_opening, log_days):
        monkeypatch.setattr(module, "BLOCK_ROWS", 3)
    assert_same_files(one, _run(tmp_path / "two", Scope()))
    assert len(list((tmp_path / "two" / "log" / "arrivals").iterdir())) > 1


@pytest.mark.parametrize("feature", FEATURES.features, ids=lambda feature: feature.name)
def test_a_feature_says_whether_it_reads_a_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, feature: Feature
) -> None:
    taken = []
    at = SnapshotStore.at

    def noted(snapshots: SnapshotStore, day: int) -> Snapshot:
        taken.append(day)
        return at(snapshots, day)

    monkeypatch.setattr(SnapshotStore, "at", noted)
    features = FEATURES.subset({feature.name})
    _run(tmp_path, Scope(end_day=FIRST // DAY + 20), features)
    # The empty one is taken in any case.
    assert (len(taken) > 1) == features.reads_snapshot


@pytest.mark.slow
@pytest.mark.serve
def test_workers_of_a_ray_cluster_write_the_same_bytes(tmp_path: Path) -> None:
    one = _run(tmp_path / "one", Scope())
    assert_same_files(one, _run(tmp_path / "two", Scope(engine="ray", workers=2)))
