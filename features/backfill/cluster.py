"""Ray clusters: the one way to join or start one, and the pool of backfill workers on it."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from data_contracts.errors import UsageError
from features.backfill.days import BackfillJob, DayResult, walk_block
from features.backfill.engines import Block, WorkerPool


@contextmanager
def join_cluster(
    address: str | None = None,
    *,
    show_logs: bool = False,
    local: Mapping[str, Any] | None = None,
) -> Iterator[Any]:
    """Join a Ray cluster for the length of a block, or start one on this machine.

    A cluster that this process has joined before is used as it is, and is not left at the end. The
    nodes of a cluster need the same packages as this machine; nothing is uploaded.

    Args:
        address: Of the cluster, or `local` for a new one; when absent, what `RAY_ADDRESS` says, or
            else a new one.
        show_logs: Whether the workers' output is shown here.
        local: Further arguments of `ray.init` for a cluster that is started here.

    Yields:
        The package `ray`, connected.

    Raises:
        UsageError: Ray is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray  # noqa: PLC0415 - an extra, and takes a second
    except ImportError as error:
        raise UsageError(
            "no package ray", "Ray, to compute on a cluster", "pip install 'ray[default]'"
        ) from error
    if ray.is_initialized():
        yield ray
        return
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    options = {"include_dashboard": False, **(local or {})} if address == "local" else {}
    try:
        ray.init(address, logging_level=logging.WARNING, log_to_driver=show_logs, **options)
        yield ray
    finally:
        ray.shutdown()


@contextmanager
def ray_pool(job: BackfillJob, workers: int) -> Iterator[WorkerPool]:
    """Workers of the Ray cluster that is joined, or of one that is started here and stopped after.

    Args:
        job: The backfill.
        workers: Processes of a cluster that is started here.

    Yields:
        The pool.

    Raises:
        UsageError: Ray is not installed.
    """
    with join_cluster(local={"num_cpus": workers}) as ray:
        yield _RayPool(ray, ray.remote(walk_block), ray.put(job))


@dataclass(frozen=True)
class _RayPool:
    ray: Any
    function: Any
    job: Any

    def submit(self, block: Block) -> Callable[[], list[DayResult]]:
        reference = self.function.options(max_retries=2).remote(self.job, *block)
        return lambda: self.ray.get(reference)
