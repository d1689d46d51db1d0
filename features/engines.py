"""Who computes the blocks of days: this process as it goes, a pool of processes, or Ray.

With several workers this process only carries the state over the days, leaves a checkpoint where a
block begins, and hands the block out when the tiles of its days are written. What a block writes
depends on nothing but the log and that checkpoint, so the bytes are the same whoever writes them.
"""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from data_contracts.errors import UsageError
from features.walk import Done, Walk, Work, walk_block

Engine = Literal["local", "ray"]
Block = tuple[int, int]
_KEPT = 2
"""Checkpoints kept behind the walk, to go on from."""


class Pool(Protocol):
    """Computes blocks somewhere else."""

    def submit(self, block: Block) -> Callable[[], list[Done]]:
        """Begin a block; what it gives waits for its days."""
        ...


def run_here(work: Work, walk: Walk, blocks: Sequence[Block]) -> Iterator[Done]:
    """Walk over the blocks and write their rows on the way.

    Args:
        work: What is to be computed.
        walk: Stands at the first block's beginning.
        blocks: Runs of days, each beginning where the one before ends.

    Yields:
        Each day when it is done.
    """
    behind: deque[int] = deque([walk.state.day], _KEPT + 1)
    for _, end_day in blocks:
        yield from walk.days(end_day, rows=True)
        work.checkpoints.save(walk.state)
        behind.append(end_day)
        work.checkpoints.prune(set(behind))


def run_apart(
    work: Work, walk: Walk, blocks: Sequence[Block], pool: Pool, workers: int
) -> Iterator[Done]:
    """Carry the state over the blocks and let others write their rows.

    Args:
        work: What is to be computed.
        walk: Stands at the first block's beginning.
        blocks: Runs of days, each beginning where the one before ends.
        pool: Who writes the rows.
        workers: How many blocks may be computed at once.

    Yields:
        Each day when its block is done; days of blocks without rows when they are carried over.
    """
    behind: deque[int] = deque([walk.state.day], _KEPT + 1)
    waiting: deque[tuple[Block, Callable[[], list[Done]]]] = deque()
    for block in blocks:
        carried = list(walk.days(block[1], rows=False))
        work.checkpoints.save(walk.state)
        if any(day in work.wanted for day in range(*block)):
            work.snapshots.take(day for day in range(*block) if day in work.wanted)
            waiting.append((block, pool.submit(block)))
        else:
            yield from carried
        behind.append(block[1])
        while len(waiting) > 2 * workers:
            yield from waiting.popleft()[1]()
        work.checkpoints.prune({*behind, *(first for (first, _), _ in waiting)})
    while waiting:
        yield from waiting.popleft()[1]()
    work.checkpoints.prune(set(behind))


@contextmanager
def local_pool(work: Work, workers: int) -> Iterator[Pool]:
    """Give a pool of processes on this machine."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _begin, (work,)) as executor:
        try:
            yield _LocalPool(executor)
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class _LocalPool:
    executor: ProcessPoolExecutor

    def submit(self, block: Block) -> Callable[[], list[Done]]:
        future: Future[list[Done]] = self.executor.submit(_run, block)
        return future.result


_work: list[Work] = []
"""What this process of a pool was given to do."""


def _begin(work: Work) -> None:
    _work[:] = [work]


def _run(block: Block) -> list[Done]:
    return walk_block(_work[0], *block)


@contextmanager
def ray_pool(work: Work, workers: int) -> Iterator[Pool]:
    """Give the workers of a Ray cluster, or of one begun here for the while.

    Args:
        work: What is to be computed.
        workers: Processes of a cluster that is begun here.

    Yields:
        The pool.

    Raises:
        UsageError: Ray is not installed.
    """
    try:
        import ray  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(
            "no package ray", "Ray, to compute on a cluster", "pip install 'ray[default]'"
        ) from error
    begun = not ray.is_initialized()
    if begun:
        _join_cluster(ray, workers)
    try:
        yield _RayPool(ray, ray.remote(walk_block), ray.put(work))
    finally:
        if begun:
            ray.shutdown()


def _join_cluster(ray: Any, workers: int) -> None:
    """Join the cluster that RAY_ADDRESS names, or begin one of this machine's processes."""
    import os  # noqa: PLC0415

    quiet = {"include_dashboard": False, "logging_level": "warning", "log_to_driver": False}
    if os.environ.get("RAY_ADDRESS"):
        ray.init(logging_level="warning", log_to_driver=False)
    else:
        ray.init(num_cpus=workers, **quiet)


@dataclass(frozen=True)
class _RayPool:
    ray: Any
    function: Any
    work: Any

    def submit(self, block: Block) -> Callable[[], list[Done]]:
        reference = self.function.options(max_retries=2).remote(self.work, *block)
        return lambda: self.ray.get(reference)
