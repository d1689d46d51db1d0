"""Preparation of a log: digests of its days, codes of its users, interactions sorted by arrival."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from data_contracts.errors import DataError
from data_contracts.events import Impressions, Interactions
from data_contracts.storage import write_text
from features.arrays.clock import DAY, day_name, day_number, instant
from features.log.end import SetAside, known_before, labelled_until, log_end, shown_before
from features.log.events import EVENT_ARRAYS, SESSION, Events, day_blocks
from features.log.tables import LogTables, encode_interactions, in_time_for, with_times

BLOCK_ROWS = 1_000_000
"""Rows of a table that are in memory at once, unless one day has more."""
_GROUP_ROWS = 1 << 16
"""Arrivals that can be read without the others of their file."""

STAMP, USERS = "log.json", "users.parquet"
_ARRIVALS = "arrivals"
FORMAT = 3


@dataclass(frozen=True)
class Day:
    """Counts and digest of one day of a log.

    Attributes:
        shown: Impressions.
        arrived: Interactions, without those that were set aside.
        digest: Hash of both, whatever their order in the tables.
    """

    shown: int
    arrived: int
    digest: str


def prepare_log(
    tables: LogTables, late_days: int, window: int, now: int, folder: Path, stamp: str | None
) -> None:
    """Write the files that a log is opened from into an empty folder.

    Args:
        tables: The log's tables.
        late_days: Interactions that arrived later than so many days are set aside.
        window: The attribution window, in microseconds.
        now: UTC microseconds; the log ends then at the latest.
        folder: The folder.
        stamp: Of the tables and settings; stored with them.

    Raises:
        DataError: There is no interaction of any of the kinds.
    """
    end = log_end(tables.impressions, window, now)
    whole, tables = tables, tables.until(end)
    impressions, interactions, kinds = tables.impressions, tables.interactions, tables.kinds
    with ThreadPoolExecutor(1) as pool:
        shown_day = Impressions.timestamp.col.dt.epoch("d")
        digests = pool.submit(_digests, impressions, shown_day)
        taken = with_times(interactions, kinds).filter(in_time_for(late_days))
        arrived = _digests(taken, pl.col("known") // DAY)
        _require_some(arrived, whole, end)
        users = _users(impressions, taken)
        users.write_parquet(folder / USERS)
        sorted_out = _sort_arrivals(
            interactions,
            pl.Series(tables.catalogue.item_ids, dtype=pl.String),
            users[Impressions.user_id.name],
            kinds,
            late_days,
            folder,
        )
        shown = digests.result()
    clustered = _is_clustered(shown)
    if not clustered:
        _split_by_day(impressions, folder / "impressions")
    days = _days(shown, arrived)
    scalars = {
        "format": FORMAT,
        "stamp": stamp,
        "catalogue": _table_digest(tables.items),
        "clustered": clustered,
        "days": {str(number): vars(day) for number, day in days.items()},
        "end": end,
        "labelled_until": (labelled := labelled_until(end, window)),
        "set_aside": vars(_set_aside(whole, end, labelled, sorted_out)),
    }
    write_text(folder / STAMP, json.dumps(scalars))


def _set_aside(whole: LogTables, end: int, labelled: int, sorted_out: "_SortedOut") -> SetAside:
    """Count what lies beyond the end beside what was found within it."""
    # Rows without a time are before nothing: they are counted too.
    beyond = whole.of_kinds.select(pl.len() - known_before(end).sum()).collect().item()
    shown = whole.impressions.select(pl.len() - shown_before(end).sum()).collect().item()
    open_yet = whole.impressions.filter(shown_before(end) & ~shown_before(labelled))
    return SetAside(
        sorted_out.late,
        sorted_out.duplicates,
        sorted_out.ahead + beyond,
        shown,
        open_yet.select(Impressions.request_id.col.n_unique()).collect().item(),
    )


def _require_some(arrived: pl.DataFrame, whole: LogTables, end: int) -> None:
    if arrived.height:
        return
    kind, time = Interactions.kind.col.unique(), Interactions.timestamp.col
    found = whole.interactions.select(kind).collect().to_series().to_list()
    if set(found) & set(whole.kinds):
        first, last = whole.of_kinds.select(time.min(), time.max().alias("last")).collect().row(0)
        raise DataError(
            f"interactions from {first} to {last}, none in time before the log's end at "
            f"{datetime.fromtimestamp(end / 1e6, UTC)}",
            "interactions that were known before one attribution window after the last impression, "
            "and before now",
            "check the times of both tables, and this machine's clock",
        )
    raise DataError(
        f"interactions of the kinds {sorted(found)}",
        f"some of the kinds {list(whole.kinds)}",
        "name the kinds under [labels] grades in recsys.toml as the table does",
    )


def _digests(table: pl.LazyFrame, day: pl.Expr) -> pl.DataFrame:
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


def _is_clustered(days: pl.DataFrame) -> bool:
    """Whether the rows of a day are close together, so that reading a day is cheap."""
    reach = (days["_high"].cast(pl.Int64) - days["_low"].cast(pl.Int64) + 1).sum()
    return bool(reach <= 2 * days["rows"].sum())


def _split_by_day(table: pl.LazyFrame, folder: Path) -> None:
    """Write a table once more, a folder for each day."""
    folder.mkdir()
    day = Impressions.timestamp.col.dt.epoch("d").alias("_day")
    table.sink_parquet(pl.PartitionBy(folder, key=day, include_key=False), mkdir=True)


def _users(impressions: pl.LazyFrame, interactions: pl.LazyFrame) -> pl.DataFrame:
    """List the users by the day they first appear, then by identifier."""
    user = Impressions.user_id.name
    shown = impressions.select(user, day=Impressions.timestamp.col.dt.epoch("d").cast(pl.Int64))
    taken = interactions.select(user, day=pl.col("known") // DAY)
    return (
        pl.concat([shown, taken])
        .drop_nulls(user)
        .group_by(user)
        .agg(pl.col("day").min())
        .sort("day", user)
        .select(user)
        .collect(engine="streaming")
    )


def _days(shown: pl.DataFrame, arrived: pl.DataFrame) -> dict[int, Day]:
    both = shown.join(arrived, on="day", how="full", coalesce=True, suffix="_arrived").fill_null(0)
    return {
        row["day"]: Day(
            row["rows"], row["rows_arrived"], f"{row['_hash']:016x}{row['_hash_arrived']:016x}"
        )
        for row in both.sort("day").iter_rows(named=True)
    }


def _table_digest(items: pl.LazyFrame) -> str:
    """Hash the items in their order, since places are."""
    frame = items.collect()
    hashes = frame.hash_rows().to_numpy()
    names = ",".join(frame.columns)
    return hashlib.sha256(names.encode() + hashes.tobytes()).hexdigest()[:16]


def arrivals_files(folder: Path, first_day: int, end_day: int) -> list[Path]:
    """Files that may hold what arrived on some days, in order of time."""
    found = []
    for path in (folder / _ARRIVALS).glob("*.parquet"):
        first, last = map(day_number, path.stem.split("_"))
        if first < end_day and last >= first_day:
            found.append(path)
    return sorted(found)


class _SortedOut(NamedTuple):
    """Interactions left out: arrived too late, dated too far ahead, copies."""

    late: int
    ahead: int
    duplicates: int


def _sort_arrivals(
    interactions: pl.LazyFrame,
    item_ids: pl.Series,
    user_ids: pl.Series,
    kinds: Sequence[str],
    late_days: int,
    folder: Path,
) -> "_SortedOut":
    """Write the interactions in the order in which they arrived, whole days to a file.

    Copies and visits are found within the day an interaction happened, so blocks of such days
    are read; what arrives after its block is kept in memory until its day.

    Args:
        interactions: A table that keeps the contract of interactions.
        item_ids: The catalogue's items.
        user_ids: The users of the log.
        kinds: The kinds to keep.
        late_days: Interactions that arrived later than so many days are set aside.
        folder: Where the files go.

    Returns:
        How many interactions were left out, and why.
    """
    (folder / _ARRIVALS).mkdir()
    happened = Interactions.timestamp.col.dt.epoch("d")
    counts = _digests(interactions.select(Interactions.timestamp.name), happened)
    split = None
    if not _is_clustered(counts):
        split = folder / "interactions"
        _split_by_day(interactions, split)
        interactions = pl.scan_parquet(split / "**/*.parquet")
    waiting = Events.none((*kinds, SESSION))
    late = ahead = duplicates = 0
    per_day = dict(zip(counts["day"].to_list(), counts["rows"].to_list(), strict=True))
    for low, high in day_blocks(per_day, BLOCK_ROWS):
        first, end = (instant(n * DAY) for n in (low, high))
        time = Interactions.timestamp.col
        taken = encode_interactions(
            interactions.filter((time >= first) & (time < end)),
            item_ids,
            user_ids,
            kinds,
            late_days,
        )
        late, ahead = late + taken.late, ahead + taken.ahead
        duplicates += taken.duplicates
        both = Events.join([waiting, taken.events])
        both = both.take(np.lexsort((both.time, both.known)))
        done = int(np.searchsorted(both.known, high * DAY))
        _write_arrivals(both.take(slice(0, done)), folder)
        waiting = both.take(slice(done, None))
    _write_arrivals(waiting, folder)
    if split is not None:
        shutil.rmtree(split)
    return _SortedOut(late, ahead, duplicates)


def _write_arrivals(events: Events, folder: Path) -> None:
    if not len(events):
        return
    days = "_".join(day_name(int(known) // DAY) for known in events.known[[0, -1]])
    frame = pl.DataFrame({name: getattr(events, name) for name in EVENT_ARRAYS})
    frame.write_parquet(
        folder / _ARRIVALS / f"{days}.parquet", compression="lz4", row_group_size=_GROUP_ROWS
    )
