"""Preparation of a log: digests of its days, codes of its users, interactions sorted by arrival."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from data_contracts.errors import DataError
from data_contracts.events import Impressions, Interactions
from data_contracts.items import Items
from data_contracts.storage import write_text
from features.arrays.clock import DAY, NEVER
from features.log.arrivals import (
    SortedOut,
    digests,
    events_frame,
    is_clustered,
    sort_arrivals,
    split_by_day,
)
from features.log.end import SetAside, known_before, labelled_until, log_end, shown_before
from features.log.events import Events, known_time
from features.log.item_columns import KNOWN, TEXT
from features.log.requests import read_impressions, shown_times
from features.log.tables import LogTables, in_time_for, with_times

STAMP, USERS, ITEMS, VERSIONS, LATE_SHOWN = (
    "log.json",
    "users.parquet",
    "items.parquet",
    "versions.parquet",
    "late_shown.parquet",
)
NAMED = "named"
"""Column of the items: the last instant before the log named each, UTC microseconds."""
FORMAT = 5


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
        of_shown = pool.submit(digests, impressions, shown_day)
        taken = with_times(interactions, kinds).filter(in_time_for(late_days))
        arrived = digests(taken, pl.col("known") // DAY)
        _require_some(arrived, whole, end)
        users, versions = _users(impressions, taken), tables.versions()
        items = _items(versions, impressions, taken, late_days)
        users.write_parquet(folder / USERS)
        items.write_parquet(folder / ITEMS)
        versions.write_parquet(folder / VERSIONS)
        item_ids, user_ids = items[Items.item_id.name], users[Impressions.user_id.name]
        late = read_impressions(impressions, item_ids, user_ids, late_days, late=True)
        events_frame(late).write_parquet(folder / LATE_SHOWN)
        shown = of_shown.result()
    clustered = is_clustered(shown)
    if not clustered:
        split_by_day(impressions, folder / "impressions")
        tables = replace(tables, impressions=pl.scan_parquet(folder / "impressions/**/*.parquet"))
    sorted_out = sort_arrivals(tables, item_ids, user_ids, late_days, window, end, folder)
    days = _days(shown, arrived, late)
    scalars = {
        "format": FORMAT,
        "stamp": stamp,
        "versions": _version_digests(versions.drop(TEXT, strict=False)),
        "clustered": clustered,
        "days": {str(number): vars(day) for number, day in days.items()},
        "end": end,
        "labelled_until": (labelled := labelled_until(end, window)),
        "set_aside": vars(_set_aside(whole, end, labelled, sorted_out, late)),
    }
    write_text(folder / STAMP, json.dumps(scalars))


def _set_aside(
    whole: LogTables, end: int, labelled: int, sorted_out: SortedOut, late: Events
) -> SetAside:
    """Count what lies beyond the end beside what was found within it."""
    # Rows without a time are before nothing: they are counted too.
    beyond = whole.of_kinds.select(pl.len() - known_before(end).sum()).collect().item()
    shown = whole.impressions.select(pl.len() - known_before(end).sum()).collect().item()
    open_yet = whole.impressions.filter(known_before(end) & ~shown_before(labelled))
    return SetAside(
        sorted_out.late,
        sorted_out.duplicates,
        sorted_out.ahead + beyond,
        shown,
        int((late.known == NEVER).sum()),
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


def _users(impressions: pl.LazyFrame, interactions: pl.LazyFrame) -> pl.DataFrame:
    """List the users by the day they first appear, then by identifier."""
    user = Impressions.user_id.name
    shown = impressions.select(user, day=known_time() // DAY)
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


def _items(
    versions: pl.DataFrame, impressions: pl.LazyFrame, interactions: pl.LazyFrame, late_days: int
) -> pl.DataFrame:
    """List the items by the instant at which the log first names them, then by identifier.

    So the code of an item never changes as the log grows.
    """
    item, known = Items.item_id.name, pl.col("known").alias(NAMED)
    shown = impressions.select(item, *shown_times(late_days)).select(item, known)
    recorded = versions.lazy().select(item, pl.col(KNOWN).alias(NAMED))
    return (
        pl.concat([recorded, shown, interactions.select(item, known)])
        .group_by(item)
        .agg(pl.col(NAMED).min())
        .sort(NAMED, item)
        .collect(engine="streaming")
    )


def _days(shown: pl.DataFrame, arrived: pl.DataFrame, late: Events) -> dict[int, Day]:
    """Put together what is known of each day that has events."""
    both = shown.join(arrived, on="day", how="full", coalesce=True, suffix="_arrived").fill_null(0)
    # The digest of an impression that became known later is that of its request's day.
    known = np.unique(late.known[late.known < NEVER] // DAY)
    both = both.join(pl.DataFrame({"day": known}), on="day", how="full", coalesce=True).fill_null(0)
    return {
        row["day"]: Day(
            row["rows"], row["rows_arrived"], f"{row['_hash']:016x}{row['_hash_arrived']:016x}"
        )
        for row in both.sort("day").iter_rows(named=True)
    }


def _version_digests(versions: pl.DataFrame) -> dict[str, str]:
    """Hash the versions that became known on each day, whatever their order, by day number."""
    names = ",".join(versions.columns)
    day = pl.col(KNOWN) // DAY
    hashes = versions.select(day.alias("day"), hash=versions.hash_rows())
    by_day = hashes.group_by("day").agg(pl.col("hash").sum()).sort("day")
    return {
        str(number): hashlib.sha256(f"{names} {value}".encode()).hexdigest()[:16]
        for number, value in by_day.rows()
    }
