"""Interactions of a log in the order of their arrival, and what they are attributed to."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from data_contracts.events import Impressions, Interactions
from features.arrays.clock import DAY, day_name, day_number, instant
from features.log.attribution.log import LogAttribution
from features.log.events import EVENT_ARRAYS, Events, day_blocks, event_kinds, in_order_of_arrival
from features.log.tables import LogTables, encode_interactions

BLOCK_ROWS = 1_000_000
"""Rows of a table that are in memory at once, unless one day has more."""
_GROUP_ROWS = 1 << 16
"""Arrivals that can be read without the others of their file."""

_ARRIVALS = "arrivals"


def arrivals_files(folder: Path, first_day: int, end_day: int) -> list[Path]:
    """Files that may hold what arrived on some days, in order of time."""
    found = []
    for path in (folder / _ARRIVALS).glob("*.parquet"):
        first, last = map(day_number, path.stem.split("_"))
        if first < end_day and last >= first_day:
            found.append(path)
    return sorted(found)


def digests(table: pl.LazyFrame, day: pl.Expr) -> pl.DataFrame:
    """Count and hash the rows of each day, whatever their order, and find where they are."""
    columns = table.collect_schema().names()
    return (
        table.with_row_index("_place")
        .select(day.alias("day"), pl.struct(columns).hash().alias("_hash"), "_place")
        .group_by("day")
        .agg(
            pl.len().alias("rows"),
            pl.col("_hash").sum(),
            pl.col("_place").min().alias("_low"),
            pl.col("_place").max().alias("_high"),
        )
        .sort("day")
        .collect(engine="streaming")
    )


def is_clustered(days: pl.DataFrame) -> bool:
    """Whether the rows of a day are close together, so that reading a day is cheap."""
    reach = (days["_high"].cast(pl.Int64) - days["_low"].cast(pl.Int64) + 1).sum()
    return bool(reach <= 2 * days["rows"].sum())


def split_by_day(table: pl.LazyFrame, folder: Path) -> None:
    """Write a table once more, a folder for each day."""
    folder.mkdir()
    day = Impressions.timestamp.col.dt.epoch("d").alias("_day")
    table.sink_parquet(pl.PartitionBy(folder, key=day, include_key=False), mkdir=True)


class SortedOut(NamedTuple):
    """Interactions left out: arrived too late, dated too far ahead, copies."""

    late: int
    ahead: int
    duplicates: int


@dataclass(frozen=True)
class _Arrivals:
    """Interactions in the order in which they became known, and the codes of their impressions."""

    events: Events
    code: np.ndarray

    def with_more(self, events: Events, code: np.ndarray) -> "_Arrivals":
        """Add events that may have become known earlier."""
        both = _Arrivals(Events.join([self.events, events]), np.append(self.code, code))
        return both.take(np.lexsort((both.events.time, both.events.known)))

    def take(self, rows: np.ndarray | slice) -> "_Arrivals":
        """Select rows, in the given order."""
        return _Arrivals(self.events.take(rows), self.code[rows])


def sort_arrivals(
    tables: LogTables,
    item_ids: pl.Series,
    user_ids: pl.Series,
    late_days: int,
    window: int,
    end: int,
    folder: Path,
) -> SortedOut:
    """Write the interactions in the order in which they arrived, whole days to a file.

    Copies and visits are found within the day an interaction happened, so blocks of such days
    are read; what arrives after its block is kept in memory until its day. With them go the derived
    events of the impressions that led to them.

    Args:
        tables: The tables of the log; the rows of a day of the impressions are close together.
        item_ids: The items of the log.
        user_ids: The users of the log.
        late_days: Events that arrived later than so many days are set aside.
        window: The attribution window, in microseconds.
        end: The log's end, UTC microseconds.
        folder: Where the files go.

    Returns:
        How many interactions were left out, and why.
    """
    (folder / _ARRIVALS).mkdir()
    interactions, time = tables.interactions, Interactions.timestamp.col
    counts = digests(interactions.select(Interactions.timestamp.name), time.dt.epoch("d"))
    split = None
    if not is_clustered(counts):
        split = folder / "interactions"
        split_by_day(interactions, split)
        interactions = pl.scan_parquet(split / "**/*.parquet")
    attribution = LogAttribution(tables.impressions, item_ids, user_ids, late_days, window)
    waiting = _Arrivals(Events.none(event_kinds(tables.kinds)), np.zeros(0, np.int64))
    late = ahead = duplicates = 0
    for low, high in day_blocks(_rows_by_day(counts, tables.impressions), BLOCK_ROWS):
        inside = (time >= instant(low * DAY)) & (time < instant(high * DAY))
        taken = encode_interactions(
            interactions.filter(inside), item_ids, user_ids, tables.kinds, late_days
        )
        late, ahead = late + taken.late, ahead + taken.ahead
        duplicates += taken.duplicates
        waiting = waiting.with_more(taken.events, taken.code)
        done = int(np.searchsorted(waiting.events.known, high * DAY))
        _write(waiting.take(slice(0, done)), attribution, high * DAY, folder)
        waiting = waiting.take(slice(done, None))
    _write(waiting, attribution, end, folder)
    if split is not None:
        shutil.rmtree(split)
    return SortedOut(late, ahead, duplicates)


def _rows_by_day(interactions: pl.DataFrame, impressions: pl.LazyFrame) -> dict[int, int]:
    """Count the rows of both tables, by day number, ascending."""
    shown = impressions.group_by(day=Impressions.timestamp.col.dt.epoch("d")).agg(rows=pl.len())
    both = pl.concat([interactions.select("day", "rows"), shown.collect(engine="streaming")])
    days = both.group_by("day").agg(pl.col("rows").sum()).sort("day")
    return dict(zip(days["day"].to_list(), days["rows"].to_list(), strict=True))


def _write(arrivals: _Arrivals, attribution: LogAttribution, before: int, folder: Path) -> None:
    """Write what became known before a moment, with what it is attributed to."""
    led = attribution.until(before, arrivals.events, arrivals.code)
    _write_arrivals(in_order_of_arrival([arrivals.events, led]), folder)


def _write_arrivals(events: Events, folder: Path) -> None:
    if not len(events):
        return
    days = "_".join(day_name(int(known) // DAY) for known in events.known[[0, -1]])
    path = folder / _ARRIVALS / f"{days}.parquet"
    events_frame(events).write_parquet(path, compression="lz4", row_group_size=_GROUP_ROWS)


def events_frame(events: Events) -> pl.DataFrame:
    """Lay the arrays of events out as a table."""
    return pl.DataFrame({name: getattr(events, name) for name in EVENT_ARRAYS})
