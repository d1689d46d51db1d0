"""The Ray engine; the one place that joins or starts a cluster."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from data_contracts.errors import UsageError
from features.backfill.days import BackfillJob, DayResult, walk_block
from features.backfill.engines import Block, Pool


@contextmanager
def ray_pool(job: BackfillJob, workers: int) -> Iterator[Pool]:
    """Workers of the Ray cluster that is joined, or of one that is started here and stopped after.

    Args:
        job: The backfill.
        workers: Processes of a cluster that is started here.

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
        yield _RayPool(ray, ray.remote(walk_block), ray.put(job))
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
    job: Any

    def submit(self, block: Block) -> Callable[[], list[DayResult]]:
        reference = self.function.options(max_retries=2).remote(self.job, *block)
        return lambda: self.ray.get(reference)
