"""Engines of a backfill: this process with writing threads, or Ray.

On Ray this process only carries the state over the days, saves a checkpoint where a block of days
begins, and submits the block once the tiles of its days are written. The rows of a block depend on
the log and that checkpoint alone, so the bytes are the same on every engine.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import zip_longest
from typing import Literal, Protocol

from features.backfill.days import BackfillJob, DayResult, DayWalk, InlineExecutor

Engine = Literal["local", "ray"]
Block = tuple[int, int]
_KEPT = 2
"""Latest checkpoints that are kept, to resume from."""
_SAVE_EVERY = 6
"""Blocks between two checkpoints of the local engine."""


class WorkerPool(Protocol):
    """Workers that compute blocks in other processes."""

    def submit(self, block: Block) -> Callable[[], list[DayResult]]:
        """Start a block; calling the result waits for its days."""
        ...


def run_here(
    job: BackfillJob, walk: DayWalk, blocks: Sequence[Block], ahead: int
) -> Iterator[DayResult]:
    """Process the blocks in this process, while its threads write the rows.

    Args:
        job: The backfill.
        walk: At the first block's beginning.
        blocks: Runs of days, each beginning where the one before ends.
        ahead: Days that may be queued for writing.

    Yields:
        Each day when it is done.
    """
    behind: deque[int] = deque([walk.state.day], _KEPT + 1)
    pending: deque[Future[DayResult]] = deque()
    # Without threads there is nobody to read ahead.
    thens = [end for _, end in blocks[1:]] if ahead else []
    for number, ((_, end_day), then) in enumerate(zip_longest(blocks, thens), 1):
        for day in walk.days(end_day, rows=True, then=then):
            pending.append(day)
            while len(pending) > ahead:
                yield pending.popleft().result()
        if number % _SAVE_EVERY and number < len(blocks):
            continue
        job.checkpoints.save(walk.state)
        behind.append(end_day)
        job.checkpoints.prune(set(behind))
    while pending:
        yield pending.popleft().result()


def run_apart(
    job: BackfillJob, walk: DayWalk, blocks: Sequence[Block], pool: WorkerPool, workers: int
) -> Iterator[DayResult]:
    """Carry the state over the blocks, while a pool writes their rows.

    Args:
        job: The backfill.
        walk: At the first block's beginning.
        blocks: Runs of days, each beginning where the one before ends.
        pool: The workers.
        workers: How many blocks may be computed at once.

    Yields:
        Each day when its block is done; days of blocks without rows when they are carried over.
    """
    behind: deque[int] = deque([walk.state.day], _KEPT + 1)
    pending: deque[tuple[Block, Callable[[], list[DayResult]]]] = deque()
    for block in blocks:
        carried = [day.result() for day in walk.days(block[1], rows=False)]
        job.checkpoints.save(walk.state)
        wanted = [day for day in job.wanted if block[0] <= day < block[1]]
        if wanted:
            # In this process, since several blocks may need the same one.
            job.snapshots.take(day for day in wanted if job.features(day).reads_snapshot)
            pending.append((block, pool.submit(block)))
        else:
            yield from carried
        behind.append(block[1])
        while len(pending) > 2 * workers:
            yield from pending.popleft()[1]()
        job.checkpoints.prune({*behind, *(first for (first, _), _ in pending)})
    while pending:
        yield from pending.popleft()[1]()
    job.checkpoints.prune(set(behind))


@contextmanager
def writers(workers: int) -> Iterator[Executor]:
    """Executor that writes rows: the other threads, or the calling one when it is the only one.

    The compiled loops, polars and numpy release the interpreter lock.
    """
    if workers == 1:
        yield InlineExecutor()
        return
    with ThreadPoolExecutor(workers - 1) as pool:
        try:
            yield pool
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
