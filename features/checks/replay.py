"""Replay of a log through the online executor in the order of arrival, compared with the batch."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from pathlib import Path

import numpy as np
import polars as pl

from data_contracts.errors import DataError
from data_contracts.events import Impressions, Interactions
from data_contracts.items import Items
from data_contracts.progress import Track, silent
from features.arrays.clock import DAY, NEVER
from features.arrays.key_index import MISSING
from features.checks.parity import KEYS, ParityReport
from features.feature_set import FeatureSet
from features.log.catalogue import LoggedCatalogue
from features.log.events import day_blocks, known_time
from features.log.item_columns import KNOWN, SINCE, item_versions, with_known
from features.log.requests import EncodedRequests, Rows, read_requests
from features.log.tables import LogTables
from features.online.events import IncomingEvents, ShownItems
from features.online.executor import OnlineFeatures
from features.settings import FeatureSettings
from features.snapshots.files import snapshot_at
from features.snapshots.snapshot import NamedSnapshot

BLOCK_EVENTS = 500_000
FOLD = 5_000
_KNOWN = "known"


@dataclass(frozen=True)
class ReplayScope:
    """Requests whose features are compared.

    Attributes:
        first_day: Day number of the first.
        end_day: The day after the last.
        limit: At most so many, spread evenly; None for all.
    """

    first_day: int
    end_day: int
    limit: int | None = None


def replay(
    tables: LogTables,
    features: FeatureSet,
    settings: FeatureSettings,
    folder: Path,
    window: int,
    compared: ReplayScope,
    track: Track = silent,
) -> ParityReport:
    """Compute the features of a log's requests online, and compare them with the backfill's.

    The log is read in blocks of days in the order in which events became known; memory holds a
    block and the online state.

    Args:
        tables: The log, until its end.
        features: What is computed.
        settings: Settings of the executors.
        folder: What the backfill wrote: `rows/` and `snapshots/`.
        window: The attribution window, in microseconds.
        compared: Which requests to compare; the others are played as well.
        track: Shows progress.

    Returns:
        The report; `found` is what the online executor gave.

    Raises:
        DataError: There is no row to compare with.
    """
    files = sorted((folder / "rows").glob("*.parquet"))
    if not files:
        raise DataError(f"no rows in {folder}", "computed features", "run `recsys backfill` first")
    player = _Player(tables, features, settings, pl.scan_parquet(files), compared)
    per_day = _events_per_day(tables)
    first = min(per_day)
    player.begin(first, window, _source(folder / "snapshots"))
    blocks = list(day_blocks(per_day, BLOCK_EVENTS))
    for block in track(blocks, "Playing the log", len(blocks)):
        player.play(block)
    player.end((max(per_day) + 1) * DAY)
    counts = player.online.counts
    player.report.notes = {
        "interactions counted": counts.counted,
        "duplicates dropped": counts.duplicates,
        "too late": counts.late,
        "too far ahead": counts.ahead,
        "impressions": counts.shown,
    }
    return player.report


def _source(folder: Path) -> Callable[[int], NamedSnapshot | None]:
    """Function that reads the snapshot due at a day; None before the first one."""

    def at(day: int) -> NamedSnapshot | None:
        try:
            return snapshot_at(folder, day)
        except DataError:
            return None

    return at


def _events_per_day(tables: LogTables) -> dict[int, int]:
    """Count what became known each day, by day number, ascending."""
    known = tables.of_kinds.select((known_time() // DAY).alias("day"))
    shown = tables.impressions.select(Impressions.timestamp.col.dt.timestamp("us") // DAY)
    both = pl.concat([known, shown.rename({Impressions.timestamp.name: "day"})])
    days = both.group_by("day").len().sort("day").collect()
    return dict(zip(days["day"].to_list(), days["len"].to_list(), strict=True))


class _Player:
    """The replay, block by block."""

    def __init__(
        self,
        tables: LogTables,
        features: FeatureSet,
        settings: FeatureSettings,
        rows: pl.LazyFrame,
        compared: ReplayScope,
    ) -> None:
        self.tables, self.features, self.settings = tables, features, settings
        self.report = ParityReport.of(features)
        self._rows, self._compared = rows, compared
        self._records = with_known(tables.items.collect()).sort(KNOWN)
        asked = tables.impressions.filter(self._in_days(compared.first_day, compared.end_day))
        requests = asked.select(Impressions.request_id.col.n_unique()).collect().item()
        limit = compared.limit or requests
        self._every = max(-(-requests // limit), 1) if limit else 1
        self._asked = 0
        self._late: list[tuple[int, int, ShownItems]] = []

    def begin(
        self, first_day: int, window: int, snapshots: Callable[[int], NamedSnapshot | None]
    ) -> None:
        """Create an executor without any event."""
        self.online = OnlineFeatures.empty(
            self._known_before(first_day),
            self.features,
            self.settings,
            self.tables.kinds,
            first_day,
            window,
            snapshots,
        )

    def _known_before(self, day: int) -> LoggedCatalogue:
        """Take out the records of items that were known before a midnight."""
        versions = item_versions(self._take_records(day * DAY))
        first = versions.group_by(Items.item_id.name).agg(pl.col(KNOWN).min())
        ids = first.sort(KNOWN, Items.item_id.name)[Items.item_id.name]
        return LoggedCatalogue.of(versions, self.tables.columns, ids)

    def _take_records(self, before: int) -> pl.DataFrame:
        known = self._records[KNOWN].search_sorted(before)
        taken, self._records = self._records[:known], self._records[known:]
        return taken.drop(KNOWN, SINCE)

    def play(self, block: tuple[int, int]) -> None:
        """Replay the days of a block and compare its requests."""
        events, known = self._interactions(block)
        self.online.fold_items(self._take_records(block[1] * DAY))
        chosen = self.tables.impressions.filter(self._in_days(*block))
        nobody = pl.Series([], dtype=pl.String)
        shown = read_requests(
            chosen,
            nobody,
            nobody,
            self.features.given,
            self.features.context,
            self.settings.late_days,
        )
        found = np.full((len(shown.rows), len(self.features.names)), np.nan, np.float32)
        compared = np.zeros(len(shown.rows), np.bool_)
        item_ids = shown.frame[Impressions.item_id.name].to_list()
        sessions = _sessions(chosen)
        at, times = 0, shown.rows.request_time.tolist()
        for place, (request, user, low, high) in enumerate(_requests(shown)):
            at = self._fold(events, known, at, bisect_left(known, times[place]))
            self._fold_late(times[place])
            if self._is_compared(times[place]):
                # The user and the items may have got their codes from one of these events.
                rows = self._rows_of(shown.rows, place, user, item_ids[low:high])
                found[low:high], _ = self.online.read(rows)
                compared[low:high] = True
            items = item_ids[low:high]
            slate = ShownItems(request, items, user, sessions[request], times[place])
            self._show(slate, shown.known[low:high])
        self._fold(events, known, at, len(known))
        if compared.any():
            self._compare(shown.frame.filter(compared), found[compared], block)

    def end(self, moment: int) -> None:
        """Fold what is left, and move the clock to a moment."""
        self._fold_late(NEVER)
        self.online.advance(moment)

    def _show(self, shown: ShownItems, known: np.ndarray) -> None:
        """Fold what was known at the request, and keep the rest until it became known."""
        if (known == shown.time).all():
            self.online.fold_shown(shown)
            return
        for moment in np.unique(known).tolist():
            ids = [item for item, at in zip(shown.item_ids, known, strict=True) if at == moment]
            part = replace(shown, item_ids=ids)
            if moment == shown.time:
                self.online.fold_shown(part)
            elif moment < NEVER:
                late = replace(part, ingested=moment + 1)
                heappush(self._late, (moment, len(self._late), late))
            else:
                self.online.counts.late += len(ids)

    def _fold_late(self, before: int) -> None:
        while self._late and self._late[0][0] < before:
            self.online.fold_shown(heappop(self._late)[2])

    def _fold(self, events: IncomingEvents, known: Sequence[int], start: int, end: int) -> int:
        for low in range(start, end, FOLD):
            high = min(low + FOLD, end)
            self.online.fold(events.between(low, high))
            self._fold_late(known[high - 1])
            self.online.advance(known[high - 1])
        return max(start, end)

    def _rows_of(self, rows: Rows, place: int, user: str | None, item_ids: Sequence[str]) -> Rows:
        """Give one request as rows of its own, by the executor's codes."""
        code = MISSING if user is None else self.online.state.users.find(user)
        low, high = rows.offsets[place : place + 2].tolist()
        items = [self.online.catalogue.index.get(item, MISSING) for item in item_ids]
        return Rows(
            rows.request_time[place : place + 1],
            np.array([code], np.int32),
            np.array([0, high - low], np.int64),
            np.array(items, np.int32),
            {name: values[low:high] for name, values in rows.given.items()},
            {name: [words[place]] for name, words in rows.context.items()},
        )

    def _is_compared(self, time: int) -> bool:
        if not self._compared.first_day <= time // DAY < self._compared.end_day:
            return False
        self._asked += 1
        return self._asked % self._every == 0

    def _compare(self, keys: pl.DataFrame, found: np.ndarray, block: tuple[int, int]) -> None:
        names = self.features.names
        rows = self._rows.filter(self._in_days(*block)).select(*KEYS, *names).collect()
        there = "there"
        both = keys.select(KEYS).join(
            rows.with_columns(pl.lit(True).alias(there)),
            on=list(KEYS),
            how="left",
            maintain_order="left",
        )
        has = both[there].fill_null(False).to_numpy()
        self.report.without_values += int((~has).sum())
        if has.any():
            wanted = both.filter(has)
            self.report.add(wanted, found[has], wanted.select(names).to_numpy())

    def _in_days(self, low: int, high: int) -> pl.Expr:
        day = Impressions.timestamp.col.dt.timestamp("us") // DAY
        return (day >= low) & (day < high)

    def _interactions(self, block: tuple[int, int]) -> tuple[IncomingEvents, list[int]]:
        """Read what became known in a block, in that order."""
        low, high = block
        day = known_time() // DAY
        frame = (
            self.tables.of_kinds.filter((day >= low) & (day < high))
            .with_columns(
                known_time().alias(_KNOWN),
                Interactions.timestamp.col.dt.timestamp("us"),
                Interactions.ingested_at.col.dt.timestamp("us"),
            )
            .sort(_KNOWN, maintain_order=True)
            .collect()
        )
        return incoming_of(frame), frame[_KNOWN].to_list()


def _requests(shown: EncodedRequests) -> Iterator[tuple[str, str | None, int, int]]:
    """Give each request, its user, and where its rows begin and end."""
    offsets = shown.rows.offsets.tolist()
    first = shown.frame[offsets[:-1]]
    request_ids, user_ids = first[Impressions.request_id.name], first[Impressions.user_id.name]
    return zip(request_ids.to_list(), user_ids.to_list(), offsets[:-1], offsets[1:], strict=True)


def _sessions(impressions: pl.LazyFrame) -> dict[str, str | None]:
    """Give the session of each request."""
    request, session = Impressions.request_id.name, Impressions.session_id.name
    first = impressions.select(request, session).unique(request, keep="first", maintain_order=True)
    return dict(first.collect().iter_rows())


def incoming_of(frame: pl.DataFrame) -> IncomingEvents:
    """Incoming events from a table of interactions whose times are UTC microseconds."""
    return IncomingEvents(
        *(
            frame[column.name].to_list()
            for column in (
                Interactions.event_id,
                Interactions.kind,
                Interactions.user_id,
                Interactions.item_id,
                Interactions.session_id,
                Interactions.request_id,
                Interactions.timestamp,
                Interactions.ingested_at,
                Interactions.value,
            )
        )
    )
