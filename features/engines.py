"""Who computes the rows: this process, whose threads write while it walks on, or Ray.

On Ray this process only carries the state over the days, leaves a checkpoint where a block of days
begins, and hands the block out when the tiles of its days are written. What a block writes depends
on nothing but the log and that checkpoint, so the bytes are the same whoever writes them.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal, Protocol

from data_contracts.errors import UsageError
from features.walk import Alone, Done, Walk, Work, walk_block

Engine = Literal["local", "ray"]
Block = tuple[int, int]
_KEPT = 2
"""Checkpoints kept behind the walk, to go on from."""
_SAVE_EVERY = 6
"""Blocks between the checkpoints of a walk that needs none for others."""


class Pool(Protocol):
    """Computes blocks somewhere else."""

    def submit(self, block: Block) -> Callable[[], list[Done]]:
        """Begin a block; what it gives waits for its days."""
        ...


def run_here(work: Work, walk: Walk, blocks: Sequence[Block], ahead: int) -> Iterator[Done]:
    """Walk over the blocks in this process, while its writers write the rows.

    Args:
        work: What is to be computed.
        walk: Stands at the first block's beginning.
        blocks: Runs of days, each beginning where the one before ends.
        ahead: Days that may wait to be written.

    Yields:
        Each day when it is done.
    """
    behind: deque[int] = deque([walk.state.day], _KEPT + 1)
    waiting: deque[Future[Done]] = deque()
    # Alone, nobody could read on meanwhile.
    thens = [end for _, end in blocks[1:]] if ahead else []
    for number, ((_, end_day), then) in enumerate(zip_longest(blocks, thens), 1):
        for day in walk.days(end_day, rows=True, then=then):
            waiting.append(day)
            while len(waiting) > ahead:
                yield waiting.popleft().result()
        if number % _SAVE_EVERY and number < len(blocks):
            continue
        work.checkpoints.save(walk.state)
        behind.append(end_day)
        work.checkpoints.prune(set(behind))
    while waiting:
        yield waiting.popleft().result()


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
        carried = [day.result() for day in walk.days(block[1], rows=False)]
        work.checkpoints.save(walk.state)
        wanted = [day for day in range(*block) if day in work.wanted]
        if wanted:
            # Here, since several blocks may need the same one.
            work.snapshots.take(day for day in wanted if work.features(day).reads_snapshot)
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
def writers(workers: int) -> Iterator[Executor]:
    """Give who writes rows beside a walk: the other threads, or the walk itself when alone.

    The loops, polars and numpy let other threads run while they compute.
    """
    if workers == 1:
        yield Alone()
        return
    with ThreadPoolExecutor(workers - 1) as pool:
        try:
            yield pool
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


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
