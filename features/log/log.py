"""A log by days, read day by day from disk, with a digest of each day."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from data_contracts.events import Impressions
from data_contracts.items import Items
from data_contracts.storage import atomic_folder
from features.arrays.clock import DAY, NO_TIME, instant, present
from features.log.arrivals import BLOCK_ROWS, arrivals_files
from features.log.catalogue import LoggedCatalogue
from features.log.end import SetAside
from features.log.events import (
    EVENT_ARRAYS,
    IMPRESSION,
    SESSION,
    Events,
    day_blocks,
    event_kinds,
)
from features.log.prepare import (
    FORMAT,
    ITEMS,
    LATE_SHOWN,
    NAMED,
    STAMP,
    USERS,
    VERSIONS,
    Day,
    prepare_log,
)
from features.log.tables import LogTables


@dataclass(frozen=True)
class Log:
    """A log opened for the executors.

    Attributes:
        catalogue: The items.
        named: int64 [n_items], the last instant before the log named each item, ascending, UTC
            microseconds.
        version_digests: Hash of the versions of items that became known on each day, by day
            number, ascending.
        user_ids: Every user of the log, in order of the first day, then of the identifier: the
            place of a user never changes as the log grows.
        kinds: Kinds of interaction, the derived `session` last.
        impressions: Table of impressions, clustered by day.
        late_shown: Impressions that became known on a later day than that of their request, or
            never, as events.
        late_days: Events that arrived later than so many days never count.
        folder: Where the interactions are, in the order of their arrival.
        days: Days with events, by day number, ascending.
        window: The attribution window, in microseconds.
        end: The first instant beyond the log, UTC microseconds.
        labelled_until: First moment whose requests have no final labels, UTC microseconds: their
            attribution window goes on beyond the end.
        set_aside: What the tables have besides, in numbers.
        withheld: Items whose events are left out, bool [n_items]; None for none. They stay among
            the candidates of requests.
    """

    catalogue: LoggedCatalogue
    named: np.ndarray
    version_digests: Mapping[int, str]
    user_ids: pl.Series
    kinds: tuple[str, ...]
    impressions: pl.LazyFrame
    late_shown: Events
    late_days: int
    folder: Path
    days: Mapping[int, Day]
    window: int
    end: int
    labelled_until: int
    set_aside: SetAside
    withheld: np.ndarray | None = None

    @property
    def event_kinds(self) -> tuple[str, ...]:
        """Kinds of events, in the order of their codes: those of attributed ones at the end."""
        return event_kinds(self.kinds[:-1])

    @cached_property
    def item_ids(self) -> pl.Series:
        """The items in the order of their codes."""
        return pl.Series(self.catalogue.item_ids, dtype=pl.String)

    def items_named_by(self, day: int) -> int:
        """Count the items that the log had named by a midnight: codes below are theirs."""
        return int(np.searchsorted(self.named, day * DAY))

    @property
    def first_day(self) -> int:
        """Day number of the first event."""
        return min(self.days)

    @property
    def end_day(self) -> int:
        """Day number after the last event."""
        return max(self.days) + 1

    @cached_property
    def interactions(self) -> Events:
        """All interactions, in the order in which they became known."""
        return self.arrivals(self.first_day, self.end_day)

    def arrivals(self, first_day: int, end_day: int) -> Events:
        """Read the interactions that became known on some days, in that order.

        Args:
            first_day: Day number.
            end_day: The day after the last one.

        Returns:
            The events, the derived ones among them: of visits, and of impressions that led to some.
        """
        files = arrivals_files(self.folder, first_day, end_day)
        if not files:
            return Events.none(self.event_kinds)
        known = pl.col("known")
        inside = (known >= first_day * DAY) & (known < end_day * DAY)
        frame = pl.scan_parquet(files).filter(inside).collect()
        arrays = [frame[name].to_numpy() for name in EVENT_ARRAYS]
        events = Events.of(arrays, self.event_kinds)
        return self.not_withheld(events)

    def not_withheld(self, events: Events) -> Events:
        """Leave the events with withheld items out."""
        if self.withheld is None:
            return events
        kept = (events.item < 0) | ~self.withheld[np.maximum(events.item, 0)]
        return events.take(np.flatnonzero(kept))

    def arrivals_by_day(self, first_day: int, end_day: int) -> Iterator[tuple[int, Events]]:
        """Read the interactions that became known on some days, day by day.

        Args:
            first_day: Day number.
            end_day: The day after the last one.

        Yields:
            Each of the days that has an interaction or an impression, and its interactions; about
            `BLOCK_ROWS` of them are read at once.
        """
        counts = {n: day.arrived for n, day in self.days.items() if first_day <= n < end_day}
        for low, high in day_blocks(counts, BLOCK_ROWS):
            events = self.arrivals(low, high)
            for day in (n for n in counts if low <= n < high):
                yield day, events.between(day * DAY, (day + 1) * DAY)

    def without(self, withheld: np.ndarray, catalogue: LoggedCatalogue) -> "Log":
        """Leave the interactions with some items, and their impressions as events, out.

        Args:
            withheld: The items, bool [n_items].
            catalogue: What features read of the items then.

        Returns:
            The log as if there had been none.
        """
        mark = hashlib.sha256(np.packbits(withheld).tobytes() + catalogue.listed_at.tobytes())
        always = NO_TIME // DAY
        before = mark.hexdigest()[:16] + self.version_digests.get(always, "")
        return replace(
            self,
            catalogue=catalogue,
            version_digests={always: before} | dict(self.version_digests) | {always: before},
            withheld=withheld,
        )

    def shown(self, first_day: int, end_day: int) -> pl.LazyFrame:
        """Impressions of some days."""
        day = Impressions.timestamp.col
        low, high = (instant(n * DAY) for n in (first_day, end_day))
        return self.impressions.filter((day >= low) & (day < high))

    def shown_late(self, first_day: int, end_day: int) -> Events:
        """Impressions of earlier days that became known on some days, in that order."""
        return self.not_withheld(self.late_shown.between(first_day * DAY, end_day * DAY))

    def count_shown(self, first_day: int, end_day: int) -> int:
        """Count the impressions of some days that were known by the last one's end.

        Those of withheld items are not counted.
        """
        late = self.not_withheld(self.late_shown)
        unknown = (late.time >= first_day * DAY) & (late.time < end_day * DAY)
        unknown &= late.known >= end_day * DAY
        if self.withheld is None:
            days = (of for day, of in self.days.items() if first_day <= day < end_day)
            return sum(of_day.shown for of_day in days) - int(unknown.sum())
        withheld = self.item_ids.filter(pl.Series(self.withheld)).implode()
        others = self.shown(first_day, end_day).filter(~Impressions.item_id.col.is_in(withheld))
        return int(others.select(pl.len()).collect().item()) - int(unknown.sum())

    def blocks(self, limit: int = BLOCK_ROWS) -> list[tuple[int, int]]:
        """Cut the days into runs of at most so many impressions; gaps belong to no run."""
        return list(day_blocks({n: day.shown for n, day in self.days.items() if day.shown}, limit))


def open_log(
    tables: LogTables,
    late_days: int,
    window: int,
    folder: Path,
    stamp: str | None = None,
    now: int | None = None,
) -> Log:
    """Open a log: decide its end, hash its days, number its users, sort interactions by arrival.

    The result is kept in the folder, and used again while the stamp stays the same: tables that do
    not change have one end, however often and late they are opened.

    Args:
        tables: The log's tables.
        late_days: Interactions that arrived later than so many days are set aside.
        window: The attribution window, in microseconds: the log ends so long after its last
            impression.
        folder: Where to keep what is made.
        stamp: Changes whenever a table or setting does; None makes all again.
        now: UTC microseconds, the end at the latest; this machine's clock when absent.

    Returns:
        The log.

    Raises:
        DataError: There is no interaction of any of the kinds.
    """
    if stamp is None or _stamp_of(folder) != stamp:
        with atomic_folder(folder) as new:
            moment = present() if now is None else now
            prepare_log(tables, late_days, window, moment, new, stamp)
    scalars = json.loads((folder / STAMP).read_text(encoding="utf-8"))
    by_day = pl.scan_parquet(folder / "impressions" / "**/*.parquet")
    items, late = pl.read_parquet(folder / ITEMS), pl.read_parquet(folder / LATE_SHOWN)
    versions, item_ids = pl.read_parquet(folder / VERSIONS), items[Items.item_id.name]
    return Log(
        LoggedCatalogue.of(versions, tables.item_columns, item_ids),
        items[NAMED].to_numpy(),
        {int(day): digest for day, digest in scalars["versions"].items()},
        pl.read_parquet(folder / USERS)[Impressions.user_id.name],
        (*tables.kinds, SESSION),
        tables.until(scalars["end"]).impressions if scalars["clustered"] else by_day,
        Events.of([late[name].to_numpy() for name in EVENT_ARRAYS], (IMPRESSION,)),
        late_days,
        folder,
        {int(n): Day(**day) for n, day in scalars["days"].items()},
        window,
        scalars["end"],
        scalars["labelled_until"],
        SetAside(**scalars["set_aside"]),
    )


def _stamp_of(folder: Path) -> str | None:
    try:
        scalars = json.loads((folder / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    stamp: str | None = scalars.get("stamp") if scalars.get("format") == FORMAT else None
    return stamp
