"""The day-by-day pass of a backfill.

Each day's features are read from the state at its midnight; the rows are written, and the day is
folded into the state.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Generic, ParamSpec, TypeVar

import numpy as np
import polars as pl

from features.arrays.clock import DAY
from features.backfill.checkpoints import Checkpoints
from features.backfill.provenance import Provenance
from features.backfill.rows import RowsOrigin, made_from, row_file, write_rows
from features.backfill.snapshots import SnapshotStore
from features.batch.reader import BatchReader
from features.batch.state import FeatureState
from features.counter_spec import CounterSpec
from features.feature_set import FeatureSet
from features.log.events import IMPRESSION, Events, in_order_of_arrival
from features.log.requests import EncodedRequests, Rows, read_impressions, read_requests
from features.snapshots.snapshot import Snapshot

P = ParamSpec("P")
T = TypeVar("T")

ROWS, SNAPSHOTS, CARRY = "rows", "snapshots", "carry"


@dataclass(frozen=True)
class DayResult:
    """Result of one day.

    Attributes:
        day: Day number.
        rows: Rows written.
        file: Name and SHA-256 of the file; None without one.
    """

    day: int
    rows: int
    file: tuple[str, str] | None


@dataclass(frozen=True)
class BackfillJob:
    """A backfill of a folder; it can be pickled for other processes.

    Attributes:
        provenance: The log, the features, the settings.
        folder: Where `rows/`, `snapshots/` and `carry/` are.
        wanted: Columns to compute, by day number.
        specs: The counters to carry.
    """

    provenance: Provenance
    folder: Path
    wanted: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    specs: tuple[CounterSpec, ...] = ()

    def features(self, day: int) -> FeatureSet:
        """Features whose columns are wanted of a day, and those they depend on."""
        return self.provenance.features.subset(self.wanted[day])

    @property
    def checkpoints(self) -> Checkpoints:
        """The checkpoints of the state."""
        return Checkpoints(self.folder / CARRY, self.provenance)

    @property
    def snapshots(self) -> SnapshotStore:
        """The snapshots."""
        return SnapshotStore(self.folder / SNAPSHOTS, self.provenance)

    def state(self, day: int, *, writes: bool) -> FeatureState:
        """State at a midnight, from its checkpoint, or empty at the log's beginning."""
        if day == self.provenance.log.first_day:
            # The empty snapshot, with which a replay of the log begins.
            first = self.snapshots.at(day)
            return self.checkpoints.begin(self.specs, first, writes=writes)
        snapshot = partial(self.snapshots.at, day)
        return self.checkpoints.load(day, self.specs, snapshot, writes=writes)


class DayWalk:
    """The pass over the days of a log.

    The counters of a day's rows are read before the state advances; columns are computed and
    written by an executor, in parallel with the pass.

    Args:
        job: The backfill.
        state: The state to begin with; it is advanced.
        writers: Computes and writes the rows.
    """

    def __init__(self, job: BackfillJob, state: FeatureState, writers: Executor) -> None:
        self.job = job
        self.state = state
        self._writers = writers
        self._subsets: dict[tuple[str, ...], FeatureSet] = {}
        self._counts_shown = any(spec.kind == IMPRESSION for spec in job.specs)
        self._snapshot: tuple[int, _Once[Snapshot]] | None = None
        self._next: Future[EncodedRequests | Events | None] | None = None

    def days(
        self, end_day: int, *, rows: bool, then: int | None = None
    ) -> Iterator["Future[DayResult]"]:
        """Process the days up to a midnight.

        Args:
            end_day: Day number of that midnight.
            rows: Whether to write the rows that are wanted.
            then: The midnight of the next call, so that its block is read ahead.

        Yields:
            A future of each day that has events, once it is in the state; done when its rows are
            written.
        """
        first_day = self.state.day
        shown = (
            self._next.result() if self._next is not None else self._read(first_day, end_day, rows)
        )
        self._next = None
        if then is not None:
            self._next = self._writers.submit(self._read, end_day, then, rows)
        for day, events in self.job.provenance.log.arrivals_by_day(first_day, end_day):
            self.state.skip(day)
            of_day = _cut_day(shown, day) if isinstance(shown, EncodedRequests) else None
            is_wanted = rows and day in self.job.wanted
            impressions = self._impressions(of_day if of_day is not None else shown, day)
            yield self._day(of_day if is_wanted else None, events, impressions)
        self.state.skip(end_day)

    def _impressions(self, shown: EncodedRequests | Events | None, day: int) -> Events:
        """Give the impressions that became known on a day, as events."""
        log = self.job.provenance.log
        if isinstance(shown, EncodedRequests):
            of_day = shown.events()
        elif isinstance(shown, Events):
            of_day = shown.between(day * DAY, (day + 1) * DAY)
        else:
            return Events.none((IMPRESSION,))
        late = log.shown_late(day, day + 1)
        of_day = log.not_withheld(of_day)
        return of_day if not len(late) else in_order_of_arrival([of_day, late])

    def _read(self, first_day: int, end_day: int, rows: bool) -> EncodedRequests | Events | None:
        """Read the impressions of some days: as requests, as events, or not at all."""
        log, features = self.job.provenance.log, self.job.provenance.features
        wanted = [day for day in self.job.wanted if rows and first_day <= day < end_day]
        low = first_day if self._counts_shown else min(wanted, default=end_day)
        if wanted:
            shown = log.shown(low, end_day)
            return read_requests(
                shown, log.item_ids, log.user_ids, features.given, features.context, log.late_days
            )
        if self._counts_shown:
            shown = log.shown(low, end_day)
            return read_impressions(shown, log.item_ids, log.user_ids, log.late_days)
        return None

    def _day(
        self, shown: EncodedRequests | None, events: Events, impressions: Events
    ) -> "Future[DayResult]":
        state, log = self.state, self.job.provenance.log
        day = state.day
        today = state.day_events(log.catalogue, events, impressions)
        if shown is None or not shown.frame.height:
            done: Future[DayResult] = Future()
            done.set_result(DayResult(day, 0, None))
        else:
            features = self._features(day)
            snapshot = self._snapshot_of(day)
            reader = state.reader(shown.rows, log.catalogue, today, events, snapshot)
            reader.read_ahead()
            done = self._writers.submit(self._write, day, shown.frame, features, reader)
        state.advance(today, events)
        return done

    def _snapshot_of(self, day: int) -> Callable[[], Snapshot]:
        """Lazy snapshot of a day's rows, shared by the days that use the same one."""
        snapshots = self.job.snapshots
        due = snapshots.due(day)
        if self._snapshot is None or self._snapshot[0] != due:
            self._snapshot = due, _Once(lambda: snapshots.at(due))
        return self._snapshot[1]

    def _features(self, day: int) -> FeatureSet:
        names = self.job.wanted[day]
        if names not in self._subsets:
            self._subsets[names] = self.job.features(day)
        return self._subsets[names]

    def _write(
        self,
        day: int,
        keys: pl.DataFrame,
        features: FeatureSet,
        reader: BatchReader,
    ) -> DayResult:
        """Write a day's rows: new columns, and those of the existing file that are valid."""
        columns = features.columns(reader)
        provenance = self.job.provenance
        path = row_file(self.job.folder / ROWS, day)
        new = {name: columns[name] for name in self.job.wanted[day]}
        made, kept = made_from(path), dict[str, pl.Series]()
        if made is not None and made.inputs == provenance.rows(day):
            still = [
                name
                for name, digest in made.columns.items()
                if name not in new and provenance.columns.get(name) == digest
            ]
            kept = pl.read_parquet(path, columns=still).to_dict() if still else {}
        names = [name for name in provenance.features.names if name in new or name in kept]
        frame = keys.with_columns(
            kept[name] if name in kept else pl.Series(name, new[name]) for name in names
        )
        made = RowsOrigin(
            provenance.base,
            provenance.rows(day),
            {name: provenance.columns[name] for name in names},
        )
        return DayResult(day, frame.height, (path.name, write_rows(frame, path, made)))


class _Once(Generic[T]):
    """Thread-safe lazy value: computed on the first call, once."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = Lock()
        self._made: list[T] = []

    def __call__(self) -> T:
        with self._lock:
            if not self._made:
                self._made.append(self._make())
            return self._made[0]


def _cut_day(shown: EncodedRequests, day: int) -> EncodedRequests:
    """Cut one day out of the requests of several."""
    rows = shown.rows
    low, high = np.searchsorted(rows.request_time, (day * DAY, (day + 1) * DAY))
    first, last = rows.offsets[low], rows.offsets[high]
    cut = Rows(
        rows.request_time[low:high],
        rows.request_user[low:high],
        rows.offsets[low : high + 1] - first,
        rows.item[first:last],
        {name: values[first:last] for name, values in rows.given.items()},
        {name: words[low:high] for name, words in rows.context.items()},
    )
    frame = shown.frame.slice(int(first), int(last - first))
    return EncodedRequests(cut, frame, shown.known[first:last])


class InlineExecutor(Executor):
    """Executor that runs each call at once, in the calling thread."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """Run a call and give its finished future."""
        done: Future[T] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


def walk_block(job: BackfillJob, first_day: int, end_day: int) -> list[DayResult]:
    """Write the rows of a block of days from the checkpoint at its beginning.

    Args:
        job: The backfill.
        first_day: Day number.
        end_day: The day after the last one.

    Returns:
        The days.
    """
    walk = DayWalk(job, job.state(first_day, writes=False), InlineExecutor())
    return [done.result() for done in walk.days(end_day, rows=True)]
