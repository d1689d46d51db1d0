"""Replay of a log through the online executor in the order of arrival, compared with the batch."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from data_contracts.errors import DataError
from data_contracts.events import Impressions, Interactions
from data_contracts.progress import Track, silent
from features.arrays.clock import DAY
from features.arrays.key_index import MISSING
from features.checks.parity import KEYS, ParityReport
from features.feature_set import FeatureSet
from features.log.events import day_blocks, known_time
from features.log.requests import Rows
from features.log.tables import EncodedRequests, LogTables, read_requests
from features.online.events import IncomingEvents
from features.online.executor import OnlineFeatures
from features.settings import FeatureSettings
from features.snapshots.files import snapshot_at
from features.snapshots.snapshot import Snapshot

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
    player.begin(first, _source(folder / "snapshots"))
    blocks = list(day_blocks(per_day, BLOCK_EVENTS))
    for block in track(blocks, "Playing the log", len(blocks)):
        player.play(block)
    player.online.advance((max(per_day) + 1) * DAY)
    counts = player.online.counts
    player.report.notes = {
        "interactions counted": counts.counted,
        "duplicates dropped": counts.duplicates,
        "too late": counts.late,
        "too far ahead": counts.ahead,
        "impressions": counts.shown,
    }
    return player.report


def _source(folder: Path) -> Callable[[int], Snapshot | None]:
    """Function that reads the snapshot due at a day; None before the first one."""

    def at(day: int) -> Snapshot | None:
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
        self._item_ids = pl.Series(tables.catalogue.item_ids, dtype=pl.String)
        asked = tables.impressions.filter(self._in_days(compared.first_day, compared.end_day))
        requests = asked.select(Impressions.request_id.col.n_unique()).collect().item()
        limit = compared.limit or requests
        self._every = max(-(-requests // limit), 1) if limit else 1
        self._asked = 0

    def begin(self, first_day: int, snapshots: Callable[[int], Snapshot | None]) -> None:
        """Create an executor without any event."""
        self.online = OnlineFeatures.empty(
            self.tables.catalogue,
            self.features,
            self.settings,
            self.tables.kinds,
            first_day,
            snapshots,
        )

    def play(self, block: tuple[int, int]) -> None:
        """Replay the days of a block and compare its requests."""
        events, known = self._interactions(block)
        chosen = self.tables.impressions.filter(self._in_days(*block))
        nobody = pl.Series([], dtype=pl.String)
        shown = read_requests(
            chosen, self._item_ids, nobody, self.features.given, self.features.context
        )
        found = np.full((len(shown.rows), len(self.features.names)), np.nan, np.float32)
        compared = np.zeros(len(shown.rows), np.bool_)
        at, times = 0, shown.rows.request_time.tolist()
        for place, (user, low, high) in enumerate(_requests(shown)):
            at = self._fold(events, known, at, bisect_left(known, times[place]))
            # The user may have got their code from one of these events.
            rows = self._rows_of(shown.rows, place, user)
            if self._is_compared(times[place]):
                found[low:high], _ = self.online.read(rows)
                compared[low:high] = True
            self.online.fold_shown(rows, user)
        self._fold(events, known, at, len(known))
        if compared.any():
            self._compare(shown.frame.filter(compared), found[compared], block)

    def _fold(self, events: IncomingEvents, known: Sequence[int], start: int, end: int) -> int:
        for low in range(start, end, FOLD):
            high = min(low + FOLD, end)
            self.online.fold(events.between(low, high))
            self.online.advance(known[high - 1])
        return max(start, end)

    def _rows_of(self, rows: Rows, place: int, user: str | None) -> Rows:
        """Give one request as rows of its own."""
        code = MISSING if user is None else self.online.state.users.find(user)
        low, high = rows.offsets[place : place + 2].tolist()
        return Rows(
            rows.request_time[place : place + 1],
            np.array([code], np.int32),
            np.array([0, high - low], np.int64),
            rows.item[low:high],
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


def _requests(shown: EncodedRequests) -> Iterator[tuple[str | None, int, int]]:
    """Give each request's user, and where its rows begin and end."""
    offsets = shown.rows.offsets.tolist()
    user_ids = shown.frame[Impressions.user_id.name].gather(offsets[:-1]).to_list()
    return zip(user_ids, offsets[:-1], offsets[1:], strict=True)


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
                Interactions.timestamp,
                Interactions.ingested_at,
                Interactions.value,
            )
        )
    )
