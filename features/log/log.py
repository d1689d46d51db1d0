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
from data_contracts.storage import atomic_folder
from features.arrays.clock import DAY, instant, present
from features.log.catalogue import Catalogue
from features.log.end import SetAside
from features.log.events import EVENT_ARRAYS, SESSION, Events, day_blocks
from features.log.prepare import BLOCK_ROWS, FORMAT, STAMP, USERS, Day, arrivals_files, prepare_log
from features.log.tables import LogTables


@dataclass(frozen=True)
class Log:
    """A log opened for the executors.

    Attributes:
        catalogue: The items.
        catalogue_digest: Hash of the items table.
        user_ids: Every user of the log, in order of the first day, then of the identifier: the
            place of a user never changes as the log grows.
        kinds: Kinds of interaction, the derived `session` last.
        impressions: Table of impressions, clustered by day.
        folder: Where the interactions are, in the order of their arrival.
        days: Days with events, by day number, ascending.
        end: The first instant beyond the log, UTC microseconds.
        labelled_until: First moment whose requests have no final labels, UTC microseconds: their
            attribution window goes on beyond the end.
        set_aside: What the tables have besides, in numbers.
        withheld: Items whose events are left out, bool [n_items]; None for none. They stay among
            the candidates of requests.
    """

    catalogue: Catalogue
    catalogue_digest: str
    user_ids: pl.Series
    kinds: tuple[str, ...]
    impressions: pl.LazyFrame
    folder: Path
    days: Mapping[int, Day]
    end: int
    labelled_until: int
    set_aside: SetAside
    withheld: np.ndarray | None = None

    @cached_property
    def item_ids(self) -> pl.Series:
        """The items in the order of the catalogue."""
        return pl.Series(self.catalogue.item_ids, dtype=pl.String)

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
            The events, the derived ones of visits among them.
        """
        files = arrivals_files(self.folder, first_day, end_day)
        if not files:
            return Events.none(self.kinds)
        known = pl.col("known")
        inside = (known >= first_day * DAY) & (known < end_day * DAY)
        frame = pl.scan_parquet(files).filter(inside).collect()
        events = Events.of([frame[name].to_numpy() for name in EVENT_ARRAYS], self.kinds)
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

    def without(self, withheld: np.ndarray, catalogue: Catalogue) -> "Log":
        """Leave the interactions with some items, and their impressions as events, out.

        Args:
            withheld: The items, bool [n_items].
            catalogue: What features read of the items then.

        Returns:
            The log as if there had been none.
        """
        mark = hashlib.sha256(np.packbits(withheld).tobytes() + catalogue.listed_at.tobytes())
        return replace(
            self,
            catalogue=catalogue,
            catalogue_digest=mark.hexdigest()[:16] + self.catalogue_digest,
            withheld=withheld,
        )

    def shown(self, first_day: int, end_day: int) -> pl.LazyFrame:
        """Impressions of some days."""
        day = Impressions.timestamp.col
        low, high = (instant(n * DAY) for n in (first_day, end_day))
        return self.impressions.filter((day >= low) & (day < high))

    def count_shown(self, first_day: int, end_day: int) -> int:
        """Count the impressions of some days, but for those of withheld items."""
        if self.withheld is None:
            return sum(
                of_day.shown for day, of_day in self.days.items() if first_day <= day < end_day
            )
        withheld = self.item_ids.filter(pl.Series(self.withheld)).implode()
        others = self.shown(first_day, end_day).filter(~Impressions.item_id.col.is_in(withheld))
        return int(others.select(pl.len()).collect().item())

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
    return Log(
        tables.catalogue,
        scalars["catalogue"],
        pl.read_parquet(folder / USERS)[Impressions.user_id.name],
        (*tables.kinds, SESSION),
        tables.until(scalars["end"]).impressions if scalars["clustered"] else by_day,
        folder,
        {int(n): Day(**day) for n, day in scalars["days"].items()},
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
