"""The backfill: features of every impression of a log, a Parquet file a day.

A day's rows are computed from the state at its midnight and the day's events; then the day is
folded into the state. Files that are up to date are kept: an interrupted run resumes, a new column
is added to the existing files, and a changed day recomputes itself and the days after it. Memory
holds the state and a block of days, whatever the length of the log.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from data_contracts.progress import Track, silent
from data_contracts.storage import file_hash, sweep
from features.backfill.cluster import ray_pool
from features.backfill.days import (
    CARRY,
    ROWS,
    SNAPSHOTS,
    BackfillJob,
    DayResult,
    DayWalk,
    InlineExecutor,
)
from features.backfill.engines import Block, Engine, run_apart, run_here, writers
from features.backfill.lock import folder_lock
from features.backfill.plan import Plan, plan
from features.backfill.provenance import Provenance
from features.backfill.rows import (
    MANIFEST,
    made_from,
    read_rows_manifest,
    row_file,
    write_rows_manifest,
)
from features.batch.state_files import save_state, state_inputs
from features.counter_spec import CounterSpec
from features.feature_set import FeatureSet
from features.log.end import SetAside
from features.log.log import Log
from features.settings import FeatureSettings

BLOCK_ROWS = 500_000
"""Impressions that are read at once, unless one day has more."""
STATE = "state"
_AHEAD = 3
"""Days that may be queued for each writing thread."""


@dataclass(frozen=True)
class Scope:
    """Days, columns and workers of a backfill.

    Attributes:
        first_day: Day number of the first rows; None for the log's first day.
        end_day: The day after the last rows; None for the log's end.
        columns: Names of the columns; None for all.
        again: Whether to recompute files that are up to date.
        engine: Where the blocks of days are computed.
        workers: Threads that compute; on Ray, blocks of days that are computed at once.
    """

    first_day: int | None = None
    end_day: int | None = None
    columns: Sequence[str] | None = None
    again: bool = False
    engine: Engine = "local"
    workers: int = 1

    def end(self, log: Log) -> int:
        """The day after the last one of a log that is asked for."""
        return log.end_day if self.end_day is None else min(log.end_day, self.end_day)

    def is_to_the_end(self, log: Log) -> bool:
        """Whether the state after the log is asked for."""
        return self.end(log) == log.end_day


@dataclass(frozen=True)
class BackfillReport:
    """Result of a backfill.

    Attributes:
        reasons: Why anything was computed, one sentence each; empty when nothing was.
        days: Days whose rows were written.
        rows: Rows written.
        set_aside: What the log leaves out.
    """

    reasons: tuple[str, ...]
    days: int
    rows: int
    set_aside: SetAside


def backfill(
    log: Log,
    features: FeatureSet,
    settings: FeatureSettings,
    folder: Path,
    scope: Scope | None = None,
    track: Track = silent,
    tell: Callable[[str], None] = lambda line: None,
) -> BackfillReport:
    """Bring the features of a log's impressions up to date.

    `rows/` gets a Parquet file a day, each with request_id, item_id, user_id, timestamp and
    position, then the features as float32; `snapshots/` a folder for each snapshot they used;
    `state/` the state at the midnight after the log; `carry/` the checkpoints of later runs.

    Args:
        log: The log.
        features: The columns, in order.
        settings: Cadence of snapshots and length of memories.
        folder: Where these folders are written.
        scope: Days and columns; everything when absent.
        track: Shows progress.
        tell: Called with each reason to compute, before anything is computed.

    Returns:
        Reasons and counts.

    Raises:
        UsageError: Another backfill of the folder is running.
    """
    job = BackfillJob(Provenance(log, features, settings), folder)
    with folder_lock(folder):
        return _bring_up_to_date(job, scope or Scope(), track, tell)


def _bring_up_to_date(
    job: BackfillJob, scope: Scope, track: Track, tell: Callable[[str], None]
) -> BackfillReport:
    rows_folder, log = job.folder / ROWS, job.provenance.log
    sweep(job.folder)
    before = read_rows_manifest(rows_folder)
    plan = _plan(job, scope, before)
    for reason in plan.reasons:
        tell(reason)
    done: list[DayResult] = []
    if _is_behind(job, scope, plan):
        (rows_folder / MANIFEST).unlink(missing_ok=True)
        shown = sum(log.days[day].shown for day in plan.wanted)
        done = list(track(_compute(job, scope, plan), "Computing features", shown))
        _finish(job, scope)
    _write_manifest(job, before, done)
    rows = sum(day.rows for day in done)
    days = sum(day.file is not None for day in done)
    return BackfillReport(plan.reasons, days, rows, log.set_aside)


def _plan(job: BackfillJob, scope: Scope, before: dict[str, object]) -> Plan:
    """Days and columns that are missing or out of date."""
    log = job.provenance.log
    first = log.first_day if scope.first_day is None else scope.first_day
    end = scope.end(log)
    days = [day for day, of in log.days.items() if first <= day < end and of.shown]
    names = job.provenance.features.names if scope.columns is None else scope.columns
    return plan(job.provenance, job.folder / ROWS, days, names, before, again=scope.again)


def _is_behind(job: BackfillJob, scope: Scope, plan: Plan) -> bool:
    """Whether rows, or the state after the log, have to be computed."""
    if plan.wanted or not scope.is_to_the_end(job.provenance.log):
        return bool(plan.wanted)
    return state_inputs(job.folder / STATE) != job.provenance.state()


def _compute(job: BackfillJob, scope: Scope, plan: Plan) -> Iterator[DayResult]:
    """Walk over the days that the plan needs, from the last checkpoint before them."""
    log = job.provenance.log
    job = replace(job, wanted=plan.wanted, specs=_specs(job, scope, plan))
    start = None
    if not scope.again:
        start = job.checkpoints.latest(job.specs, min(plan.wanted, default=scope.end(log)))
    start = log.first_day if start is None else start
    job.checkpoints.drop_after(start, job.specs)
    state = job.state(start, writes=True)
    blocks = _blocks(log, start, scope.end(log))
    workers = scope.workers
    if scope.engine == "local":
        with writers(workers) as opened:
            yield from run_here(job, DayWalk(job, state, opened), blocks, _AHEAD * (workers - 1))
        return
    with ray_pool(job, workers) as cluster:
        yield from run_apart(job, DayWalk(job, state, InlineExecutor()), blocks, cluster, workers)


def _specs(job: BackfillJob, scope: Scope, plan: Plan) -> tuple[CounterSpec, ...]:
    """Counters to carry: those that are read, and those that the state after the log lacks."""
    log, features = job.provenance.log, job.provenance.features
    names = {spec.name for spec in plan.specs(job.provenance)}
    end, to_the_end = scope.end(log), scope.is_to_the_end(log)
    return tuple(
        spec
        for spec in features.counters
        if spec.name in names or (to_the_end and not job.checkpoints.has_counter(end, spec))
    )


def _blocks(log: Log, start: int, end: int) -> list[Block]:
    """Cut the days from a midnight on into blocks, at the same midnights in every run."""
    inside = [first for first, _ in log.blocks(BLOCK_ROWS) if start < first < end]
    return [(low, high) for low, high in pairwise([start, *inside, end]) if low < high]


def _finish(job: BackfillJob, scope: Scope) -> None:
    """Write the state after the log, and remove snapshots that are out of date."""
    provenance, log = job.provenance, job.provenance.log
    job.snapshots.prune()
    if scope.is_to_the_end(log):
        job = replace(job, specs=provenance.features.counters)
        state = job.state(log.end_day, writes=False)
        for counter in state.counters.values():
            counter.sort()
        folder = job.folder / STATE
        save_state(state, log.catalogue, log.user_ids, folder, provenance.state())


def _write_manifest(job: BackfillJob, before: dict[str, object], done: Sequence[DayResult]) -> None:
    """Remove files that are out of date, and list the others with their hashes."""
    provenance, rows = job.provenance, job.folder / ROWS
    hashes: dict[str, str] = {}
    known: object = before.get("files", {})
    if isinstance(known, dict):
        hashes |= known
    hashes |= dict(day.file for day in done if day.file is not None)
    columns = set(provenance.columns)
    files: dict[str, str] = {}
    valid = {row_file(rows, day).name: day for day in provenance.log.days}
    for path in sorted(rows.glob("*.parquet")):
        made, day = made_from(path), valid.get(path.name)
        if made is None or day is None or made.inputs != provenance.rows(day):
            path.unlink()
            continue
        columns &= {n for n, h in made.columns.items() if provenance.columns.get(n) == h}
        files[path.name] = hashes.get(path.name) or file_hash(path)
    features = FeatureSet(tuple(f for f in provenance.features.features if f.name in columns))
    write_rows_manifest(rows, provenance.log, features, files)


__all__ = ["CARRY", "ROWS", "SNAPSHOTS", "STATE", "BackfillReport", "Scope", "backfill"]
