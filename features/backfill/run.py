"""The batch executor: features of every impression of a log, a Parquet file a day.

A day's rows come from the state as of its midnight and what became known on the day; then the day
is folded into the state. What is there and still holds is kept: a run that was stopped goes on
where it was, a new column is set beside the others, and a changed day redoes itself and the days
after it. Memory holds the state and a block of days, whatever the length of the log.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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
from features.log.log import Log
from features.settings import FeatureSettings

BLOCK_ROWS = 500_000
"""Impressions that are read at once, unless one day has more."""
STATE = "state"
_AHEAD = 3
"""Days that may wait for a thread that writes."""


@dataclass(frozen=True)
class Scope:
    """What a backfill is asked for.

    Attributes:
        first_day: Day number of the first rows; None for the log's first day.
        end_day: The day after the last rows; None for the log's end.
        columns: Names of the columns; None for all.
        again: Whether to compute what is there and still holds.
        engine: Who computes the blocks of days.
        workers: Threads that compute; on Ray, blocks of days that are computed at once.
    """

    first_day: int | None = None
    end_day: int | None = None
    columns: Sequence[str] | None = None
    again: bool = False
    engine: Engine = "local"
    workers: int = 1


@dataclass(frozen=True)
class Report:
    """What a backfill did.

    Attributes:
        reasons: Why anything had to be computed, one sentence each; empty when nothing had.
        days: Days whose rows were written.
        rows: Rows written.
        late: Interactions of the log set aside because they arrived too late.
        duplicates: Copies of interactions set aside.
    """

    reasons: tuple[str, ...]
    days: int
    rows: int
    late: int
    duplicates: int


def backfill(
    log: Log,
    features: FeatureSet,
    settings: FeatureSettings,
    folder: Path,
    scope: Scope | None = None,
    track: Track = silent,
    tell: Callable[[str], None] = lambda line: None,
) -> Report:
    """Bring the features of a log's impressions up to date.

    `rows/` gets a Parquet file a day, each with request_id, item_id, user_id, timestamp and
    position, then the features as float32; `snapshots/` a folder for each snapshot they used;
    `state/` the state as of the midnight after the log; `carry/` what a later run goes on from.

    Args:
        log: The log.
        features: The columns, in order.
        settings: Cadence of snapshots and length of memories.
        folder: Where all this goes.
        scope: What is asked for; everything when absent.
        track: Shows progress.
        tell: Is told what was found stale, and why, before anything is computed.

    Returns:
        What was done.

    Raises:
        UsageError: Another process is at it.
    """
    run = _Run(Provenance(log, features, settings), folder, scope or Scope())
    with folder_lock(folder):
        return _bring_up_to_date(run, track, tell)


def _bring_up_to_date(run: "_Run", track: Track, tell: Callable[[str], None]) -> Report:
    folder, log = run.folder, run.provenance.log
    sweep(folder)
    before = read_rows_manifest(folder / ROWS)
    plan = run.plan(before)
    for reason in plan.reasons:
        tell(reason)
    done: list[DayResult] = []
    if run.is_behind(plan):
        (folder / ROWS / MANIFEST).unlink(missing_ok=True)
        shown = sum(log.days[day].shown for day in plan.wanted)
        steps = run.compute(plan)
        done = list(track(steps, "Computing features", shown))
        run.finish()
    run.write_manifest(before, done)
    rows = sum(day.rows for day in done)
    days = sum(day.file is not None for day in done)
    return Report(plan.reasons, days, rows, log.late, log.duplicates)


@dataclass(frozen=True)
class _Run:
    provenance: Provenance
    folder: Path
    scope: Scope

    @property
    def rows(self) -> Path:
        """The folder of rows."""
        return self.folder / ROWS

    @property
    def end_day(self) -> int:
        """The midnight to walk to."""
        end = self.provenance.log.end_day
        return end if self.scope.end_day is None else min(end, self.scope.end_day)

    @property
    def is_to_the_end(self) -> bool:
        """Whether the state after the log is asked for."""
        return self.end_day == self.provenance.log.end_day

    def plan(self, before: dict[str, object]) -> Plan:
        """Find what is to be done."""
        log, scope = self.provenance.log, self.scope
        first = log.first_day if scope.first_day is None else scope.first_day
        days = [day for day, of in log.days.items() if first <= day < self.end_day and of.shown]
        names = self.provenance.features.names if scope.columns is None else scope.columns
        return plan(self.provenance, self.rows, days, names, before, again=scope.again)

    def is_behind(self, plan: Plan) -> bool:
        """Tell whether anything is to be computed: rows, or the state after the log."""
        if plan.wanted or not self.is_to_the_end:
            return bool(plan.wanted)
        return state_inputs(self.folder / STATE) != self.provenance.state()

    def compute(self, plan: Plan) -> Iterator[DayResult]:
        """Walk over the days that the plan needs."""
        work = BackfillJob(self.provenance, self.folder, plan.wanted, self._specs(plan))
        log = self.provenance.log
        first_wanted = min(plan.wanted, default=self.end_day)
        start = None
        if not self.scope.again:
            start = work.checkpoints.latest(work.specs, first_wanted)
        start = log.first_day if start is None else start
        work.checkpoints.drop_after(start, work.specs)
        state = work.state(start, writes=True)
        blocks = self._blocks(start)
        workers = self.scope.workers
        if self.scope.engine == "local":
            with writers(workers) as opened:
                yield from run_here(
                    work, DayWalk(work, state, opened), blocks, _AHEAD * (workers - 1)
                )
            return
        with ray_pool(work, workers) as cluster:
            yield from run_apart(
                work, DayWalk(work, state, InlineExecutor()), blocks, cluster, workers
            )

    def _specs(self, plan: Plan) -> tuple[CounterSpec, ...]:
        """List the counters to carry: those read, and those the state after the log lacks."""
        needed = plan.specs(self.provenance)
        features = self.provenance.features
        if not self.is_to_the_end:
            return tuple(spec for spec in features.counters if spec.name in _names(needed))
        end, checkpoints = (
            self.end_day,
            BackfillJob(self.provenance, self.folder, {}, ()).checkpoints,
        )
        names = _names(needed)
        return tuple(
            spec
            for spec in features.counters
            if spec.name in names or not checkpoints.has_counter(end, spec)
        )

    def _blocks(self, start: int) -> list[Block]:
        """Cut the days from a midnight on into blocks, at the same midnights in every run."""
        cuts = [first for first, _ in self.provenance.log.blocks(BLOCK_ROWS)]
        inside = [day for day in cuts if start < day < self.end_day]
        edges = [start, *inside, self.end_day]
        return [(low, high) for low, high in pairwise(edges) if low < high]

    def finish(self) -> None:
        """Write the state after the log, and remove snapshots that no longer hold."""
        work = BackfillJob(self.provenance, self.folder, {}, self.provenance.features.counters)
        work.snapshots.prune()
        if self.is_to_the_end:
            log = self.provenance.log
            state = work.state(self.end_day, writes=False)
            for counter in state.counters.values():
                counter.sort()
            inputs = self.provenance.state()
            save_state(state, log.catalogue, log.user_ids, self.folder / STATE, inputs)

    def write_manifest(self, before: dict[str, object], done: Sequence[DayResult]) -> None:
        """Remove files that no longer hold, and say what the others have."""
        provenance = self.provenance
        hashes: dict[str, str] = {}
        known: object = before.get("files", {})
        if isinstance(known, dict):
            hashes |= known
        hashes |= dict(day.file for day in done if day.file is not None)
        columns = set(provenance.columns)
        files: dict[str, str] = {}
        valid = {row_file(self.rows, day).name: day for day in provenance.log.days}
        for path in sorted(self.rows.glob("*.parquet")):
            made, day = made_from(path), valid.get(path.name)
            if made is None or day is None or made.inputs != provenance.rows(day):
                path.unlink()
                continue
            columns &= {n for n, h in made.columns.items() if provenance.columns.get(n) == h}
            files[path.name] = hashes.get(path.name) or file_hash(path)
        features = FeatureSet(tuple(f for f in provenance.features.features if f.name in columns))
        write_rows_manifest(self.rows, provenance.log, features, files)


def _names(specs: Sequence[CounterSpec]) -> set[str]:
    return {spec.name for spec in specs}


__all__ = ["CARRY", "ROWS", "SNAPSHOTS", "STATE", "Report", "Scope", "backfill"]
