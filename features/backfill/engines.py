"""Who computes the rows: this process, whose threads write while it walks on, or Ray.

On Ray this process only carries the state over the days, leaves a checkpoint where a block of days
begins, and hands the block out when the tiles of its days are written. What a block writes depends
on nothing but the log and that checkpoint, so the bytes are the same whoever writes them.
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
"""Checkpoints kept behind the walk, to go on from."""
_SAVE_EVERY = 6
"""Blocks between the checkpoints of a walk that needs none for others."""


class Pool(Protocol):
    """Computes blocks somewhere else."""

    def submit(self, block: Block) -> Callable[[], list[DayResult]]:
        """Begin a block; what it gives waits for its days."""
        ...


def run_here(
    work: BackfillJob, walk: DayWalk, blocks: Sequence[Block], ahead: int
) -> Iterator[DayResult]:
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
    waiting: deque[Future[DayResult]] = deque()
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
    work: BackfillJob, walk: DayWalk, blocks: Sequence[Block], pool: Pool, workers: int
) -> Iterator[DayResult]:
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
    waiting: deque[tuple[Block, Callable[[], list[DayResult]]]] = deque()
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
        yield InlineExecutor()
        return
    with ThreadPoolExecutor(workers - 1) as pool:
        try:
            yield pool
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
