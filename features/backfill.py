"""The batch executor: features of every impression of a log, day by day.

A day's rows come from the state as of its midnight and the day's own events; then the day is
folded into the state. Memory holds the state and a block of days of impressions, whatever the
length of the log.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from data_contracts.errors import DataError
from data_contracts.events import Impressions, Interactions
from data_contracts.progress import Track, silent
from data_contracts.storage import atomic_folder
from features.catalogue import Catalogue
from features.clock import DAY
from features.feature_set import FeatureSet
from features.kinds.counts import rate_name
from features.log import (
    IMPRESSION,
    Events,
    Rows,
    Shown,
    Taken,
    day_blocks,
    encode_interactions,
    impression_events,
    read_requests,
)
from features.settings import FeatureSettings
from features.snapshot_files import day_name, save_snapshot
from features.snapshots import Snapshot, empty_snapshot, snapshot
from features.state import FeatureState

BLOCK_ROWS = 1_000_000
MANIFEST = "manifest.json"
ROWS, SNAPSHOTS = "rows", "snapshots"


@dataclass(frozen=True)
class Log:
    """A log opened for the executors.

    Attributes:
        catalogue: The items.
        user_ids: Every user of the log, sorted.
        taken: The interactions of the features' kinds, and how many were set aside.
        impressions: Table of impressions.
        shown_per_day: Number of impressions by day number, ascending.
    """

    catalogue: Catalogue
    user_ids: pl.Series
    taken: Taken
    impressions: pl.LazyFrame
    shown_per_day: Mapping[int, int]

    @property
    def interactions(self) -> Events:
        """The interactions in the order in which they became known."""
        return self.taken.events

    @property
    def item_ids(self) -> pl.Series:
        """The items in the order of the catalogue."""
        return pl.Series(self.catalogue.item_ids, dtype=pl.String)

    @property
    def first_day(self) -> int:
        """Day number of the first event."""
        days = [*self.shown_per_day][:1]
        if len(self.interactions):
            days.append(int(self.interactions.known[0]) // DAY)
        return min(days)

    @property
    def end_day(self) -> int:
        """Day number after the last event."""
        days = [*self.shown_per_day][-1:]
        if len(self.interactions):
            days.append(int(self.interactions.known[-1]) // DAY)
        return max(days) + 1


def open_log(
    items: pl.LazyFrame,
    impressions: pl.LazyFrame,
    interactions: pl.LazyFrame,
    attributes: Sequence[str],
    kinds: Sequence[str],
    late_days: int,
) -> Log:
    """Read what fits in memory of a log: catalogue, users, and interactions.

    Args:
        items: A table that keeps the contract of items.
        impressions: A table that keeps the contract of impressions.
        interactions: A table that keeps the contract of interactions.
        attributes: Item columns the features need.
        kinds: Kinds of interaction the features need.
        late_days: Interactions that arrived later than so many days are set aside.

    Returns:
        The log.

    Raises:
        DataError: There is no interaction of any of the kinds.
    """
    catalogue = Catalogue.of(items.collect(), attributes)
    user = Impressions.user_id.name
    users = pl.concat([interactions.select(user), impressions.select(user)])
    user_ids = users.unique().drop_nulls().sort(user).collect()[user]
    item_ids = pl.Series(catalogue.item_ids, dtype=pl.String)
    taken = encode_interactions(interactions, item_ids, user_ids, kinds, late_days)
    if not len(taken.events):
        found = interactions.select(Interactions.kind.col.unique()).collect().to_series().to_list()
        raise DataError(
            f"interactions of the kinds {sorted(found)}",
            f"some of the kinds {list(kinds)}",
            "name the kinds under [labels] grades in recsys.toml as the table does",
        )
    day = Impressions.timestamp.col.dt.epoch("d").alias("day")
    per_day = impressions.group_by(day).len().sort("day").collect()
    shown = dict(zip(per_day["day"].to_list(), per_day["len"].to_list(), strict=True))
    return Log(catalogue, user_ids, taken, impressions, shown)


def backfill(
    log: Log,
    features: FeatureSet,
    settings: FeatureSettings,
    folder: Path,
    start_day: int,
    track: Track = silent,
) -> FeatureState:
    """Write the features of every impression from `start_day` on, one Parquet file a day.

    `rows/` gets the files, each with request_id, item_id, user_id, timestamp and position, then the
    features as float32; `snapshots/` a folder for each snapshot they used. Both are replaced whole
    when all is done.

    Args:
        log: The log.
        features: What to compute.
        settings: Cadence of snapshots and length of histories.
        folder: Where `rows/` and `snapshots/` go.
        start_day: Day number of the first rows wanted; earlier days only feed the state.
        track: Shows progress.

    Returns:
        The state as of the midnight after the log's last event.
    """
    blocks = list(day_blocks(log.shown_per_day, BLOCK_ROWS))
    days = {day: block for block in blocks for day in range(*block)}
    steps = range(log.first_day, log.end_day)
    hashes: dict[str, str] = {}
    loaded: tuple[tuple[int, int], Shown] | None = None
    with atomic_folder(folder / ROWS) as part, atomic_folder(folder / SNAPSHOTS) as snapshots:
        executor = _Executor(log, features, settings, snapshots)
        for day in track(steps, "Computing features", len(steps)):
            block = days.get(day)
            if block is not None and (loaded is None or loaded[0] != block):
                loaded = (block, executor.read(block, start_day))
            shown = None if block is None or loaded is None else _of_day(loaded[1], day)
            frame = executor.run_day(shown, wanted=day >= start_day)
            if frame is not None:
                name = f"{day_name(day)}.parquet"
                frame.write_parquet(part / name)
                hashes[name] = hashlib.sha256((part / name).read_bytes()).hexdigest()
        manifest = {
            "schema_hash": features.schema_hash,
            "features": {feature.name: feature.meaning for feature in features.features},
            "files": hashes,
        }
        (part / MANIFEST).write_text(json.dumps(manifest, indent=2), encoding="utf-8")
        return executor.finish()


class _Executor:
    """Walks over the days of a log with the state."""

    def __init__(
        self, log: Log, features: FeatureSet, settings: FeatureSettings, snapshots: Path
    ) -> None:
        self.log = log
        self.snapshots = snapshots
        self.features = features
        self.settings = settings
        values = {name: len(values) for name, values in log.catalogue.values.items()}
        first = empty_snapshot(log.first_day, len(log.catalogue), values, self._rates(0))
        self.state = FeatureState.begin(features, log.interactions.kinds, settings, first)
        save_snapshot(first, snapshots)
        self._needs_shown = any(spec.kind == IMPRESSION for spec in features.counters)

    def read(self, block: tuple[int, int], start_day: int) -> Shown:
        """Read the impressions of a run of days, or none when neither rows nor counters need it."""
        low, high = block
        if not self._needs_shown:
            low = max(low, min(start_day, high))
        day = Impressions.timestamp.col.dt.epoch("d")
        chosen = self.log.impressions.filter((day >= low) & (day < high))
        return read_requests(chosen, self.log.item_ids, self.log.user_ids, self.features.given)

    def run_day(self, shown: Shown | None, *, wanted: bool) -> pl.DataFrame | None:
        """Compute the rows of the state's day when they are wanted, and go on to the next."""
        state, log = self.state, self.log
        midnight = state.day * DAY
        events = log.interactions.between(midnight, midnight + DAY)
        has_rows = shown is not None and shown.frame.height > 0
        impressions = impression_events(shown.rows) if shown else Events.none((IMPRESSION,))
        today = state.arrivals(log.catalogue, events, impressions)
        frame = None
        if wanted and has_rows and shown is not None:
            self._refresh_snapshot()
            reader = state.reader(shown.rows, log.catalogue, today, events)
            matrix = self.features.matrix(reader)
            frame = shown.frame.hstack(pl.from_numpy(matrix, schema=self.features.names))
        state.advance(today, events)
        return frame

    def finish(self) -> FeatureState:
        """Give the state after the last day, with the snapshot that is due there."""
        self._refresh_snapshot()
        self.state.recent.tidy()
        return self.state

    def _refresh_snapshot(self) -> None:
        """Take the snapshot whose turn it was last, unless it is there."""
        cadence = self.settings.snapshot_days
        due = self.state.day // cadence * cadence
        if due > self.state.snapshot.day:
            self.state.snapshot = self._snapshot(due)
            save_snapshot(self.state.snapshot, self.snapshots)

    def _snapshot(self, day: int) -> Snapshot:
        log = self.log
        attributes = {
            name: (codes, len(log.catalogue.values[name]))
            for name, codes in log.catalogue.attributes.items()
        }
        return snapshot(
            self._in_window(day),
            day,
            attributes,
            len(log.catalogue),
            self.settings.neighbours,
            self._rates(day),
        )

    def _in_window(self, day: int) -> Events:
        """Give the interactions of a snapshot: of its window, and known before its midnight."""
        start = (day - self.settings.snapshot_window_days) * DAY
        events = self.log.interactions.between(start, day * DAY)
        return events.take(np.flatnonzero(events.time >= start))

    def _rates(self, day: int) -> dict[str, float]:
        """Give the overall rates of the window before a midnight; one event of both is added."""
        start = day - self.settings.snapshot_window_days
        events = self._in_window(day)
        counts = {kind: len(events.of_kind(kind)) for kind in events.kinds}
        counts[IMPRESSION] = sum(
            count for on, count in self.log.shown_per_day.items() if start <= on < day
        )
        return {
            rate_name(kind, per): (counts[kind] + 1) / (counts[per] + 1)
            for kind, per in self.features.rates
        }


def _of_day(shown: Shown, day: int) -> Shown:
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
    )
    return Shown(cut, shown.frame.slice(int(first), int(last - first)))


def feature_columns(folder: Path) -> tuple[str, list[str]]:
    """Read which features a folder of rows has.

    Args:
        folder: What `backfill` wrote.

    Returns:
        The schema hash and the names of the columns, in order.

    Raises:
        DataError: There are no features, or their computation did not end.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"no readable {MANIFEST} in {folder}",
            "features computed for this workspace",
            "run `recsys backfill` first",
        ) from error
    return manifest["schema_hash"], list(manifest["features"])
