"""The files of a simulated log, written day by day, and the counts of what went into them."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import dataframely as dy
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts.events import Impressions, Interactions
from recsys.datasets.simulation.day import (
    CART,
    CLICK,
    PURCHASE,
    SlateOutcomes,
    impression_table,
    interaction_table,
    truth_table,
)
from recsys.datasets.simulation.faults import add_faults
from recsys.datasets.simulation.robots import FIRST_NUMBER, robot_count
from recsys.datasets.simulation.shop import RequestBatch, Shop
from recsys.datasets.simulation.world.catalogue import as_instants, day_start_us
from recsys.datasets.simulation.world.settings import SimulationReport, SimulationSettings
from recsys.datasets.simulation.world.truth import (
    TruthBots,
    TruthDuplicates,
    TruthImpressions,
    TruthLate,
    TruthOrphans,
    truth_path,
)
from recsys.datasets.simulation.world.users import robot_ids
from recsys.workspace.config import TableSettings


class ParquetAppender:
    """A Parquet file written one row group after the other; created at the first.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = None
        self.rows = 0

    def write(self, frame: pl.DataFrame) -> None:
        """Append a row group; a frame without rows only makes the file."""
        rows: pa.Table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        if self._writer is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(self._path, rows.schema, compression="zstd")
        if frame.height:
            self._writer.write_table(rows)
            self.rows += frame.height

    def close(self) -> None:
        """Finish the file, if anything was written."""
        if self._writer is not None:
            self._writer.close()


class LogWriter:
    """The files of impressions, interactions and their truth.

    Rows are in order of time; every day begins a row group. An interaction is held back until
    its day is over, since purchases follow up to a day after what led to them.

    Args:
        folder: Of the workspace.
        settings: Of the shop.
        stack: Closes the files.
    """

    def __init__(self, folder: Path, settings: SimulationSettings, stack: ExitStack) -> None:
        def table(path: Path) -> ParquetAppender:
            return stack.enter_context(closing(ParquetAppender(path)))

        def truth(wanted: float, contract: type[dy.Schema]) -> ParquetAppender | None:
            return table(truth_path(folder, contract)) if wanted else None

        names = TableSettings()
        self._settings = settings
        self._impressions = table(folder / names.impressions)
        self._interactions = table(folder / names.interactions)
        self._truth = table(truth_path(folder, TruthImpressions))
        self._late = truth(settings.late, TruthLate)
        self._duplicates = truth(settings.duplicates, TruthDuplicates)
        self._orphans = truth(settings.orphans, TruthOrphans)
        self._pending: list[pl.DataFrame] = []
        self._robot_requests = np.zeros(robot_count(settings), np.int64)
        self._robot_clicks = np.zeros(robot_count(settings), np.int64)
        self._counts = dict.fromkeys((CLICK, CART, PURCHASE), 0)
        self._sessions = self._requests = 0

    def write_day(self, day: int, batches: Iterable[RequestBatch], price: np.ndarray) -> None:
        """Write a day's impressions, and the interactions that fell on it.

        Args:
            day: Day of the log, from 0.
            batches: Requests of the day.
            price: float64 [n_items].
        """
        people, robots = _InteractionNumbers(0), _InteractionNumbers(FIRST_NUMBER)
        for batch in batches:
            self._write_shown(batch)
            done = people.interactions(day, batch.people, price)
            clicks = robots.interactions(day, batch.robots, price)
            self._pending += [done, clicks] if clicks.height else [done]
            self._requests += len(batch.people.visits) + len(batch.robots.visits)
            self._count_robots(batch.robots)
        self._sessions += people.sessions + robots.sessions
        self._write_done(day)

    def _write_shown(self, batch: RequestBatch) -> None:
        parts = [batch.people, batch.robots] if len(batch.robots.visits) else [batch.people]
        shown = pl.concat([impression_table(batch.day, part, batch.listed) for part in parts])
        truth = pl.concat([truth_table(batch.day, part) for part in parts])
        if len(parts) > 1:
            time = shown[Impressions.timestamp.name].to_physical().to_numpy()
            order = np.argsort(time, kind="stable")
            shown, truth = shown[order], truth[order]
        self._impressions.write(shown)
        self._truth.write(truth)

    def _count_robots(self, robots: SlateOutcomes) -> None:
        robot, clicks = robots.visits.user, robots.actions.clicked.sum(axis=1)
        self._robot_requests += np.bincount(robot, minlength=len(self._robot_requests))
        self._robot_clicks += np.bincount(robot, clicks, len(self._robot_clicks)).astype(np.int64)

    def _write_done(self, day: int) -> None:
        order = (Interactions.timestamp.name, Interactions.event_id.name)
        midnight = as_instants("", np.array([day_start_us(self._settings, day + 1)]))[0]
        over = Interactions.timestamp.col < midnight
        done = pl.concat(self._pending).sort(order)
        past = done.filter(over)
        self._pending = [done.filter(~over)]
        for kind in self._counts:
            self._counts[kind] += past.filter(Interactions.kind.col == kind).height
        logged = add_faults(past, self._settings, day)
        self._interactions.write(logged.rows)
        for table, rows in (
            (self._late, logged.late),
            (self._duplicates, logged.duplicates),
            (self._orphans, logged.orphans),
        ):
            if table is not None:
                table.write(rows)

    def robot_truth(self) -> pl.DataFrame:
        """Give the robots that came, as `TruthBots` says."""
        came = np.flatnonzero(self._robot_requests)
        return pl.DataFrame(
            [
                robot_ids(came).alias(TruthBots.user_id.name),
                pl.Series(TruthBots.requests.name, self._robot_requests[came]),
                pl.Series(TruthBots.clicks.name, self._robot_clicks[came]),
            ]
        )

    def report(self, path: Path, shop: Shop) -> SimulationReport:
        """Count what was written.

        Args:
            path: The workspace.
            shop: Whose log it is.

        Returns:
            The counts.
        """
        return SimulationReport(
            path=path,
            users=len(shop.users.activity),
            items=len(shop.catalogue.texts),
            sessions=self._sessions,
            requests=self._requests,
            impressions=self._impressions.rows,
            clicks=self._counts[CLICK],
            carts=self._counts[CART],
            purchases=self._counts[PURCHASE],
            unseen_interactions=sum(rows.height for rows in self._pending),
            late=_rows(self._late),
            duplicates=_rows(self._duplicates),
            orphans=_rows(self._orphans),
            bots=int((self._robot_requests > 0).sum()),
            bot_requests=int(self._robot_requests.sum()),
        )


def _rows(table: ParquetAppender | None) -> int:
    return 0 if table is None else table.rows


@dataclass
class _InteractionNumbers:
    """Numbers of the interactions of people or robots within a day, and the count of sessions."""

    first: int
    interactions_so_far: int = 0
    sessions: int = 0

    def interactions(self, day: int, outcomes: SlateOutcomes, price: np.ndarray) -> pl.DataFrame:
        rows = interaction_table(day, self.first + self.interactions_so_far, outcomes, price)
        self.interactions_so_far += rows.height
        session = outcomes.visits.session
        self.sessions = max(
            self.sessions, int(session.max(initial=self.first - 1)) - self.first + 1
        )
        return rows


@contextmanager
def open_log(folder: Path, settings: SimulationSettings) -> Iterator[LogWriter]:
    """Open the tables of a log; they are complete when the block ends."""
    with ExitStack() as stack:
        yield LogWriter(folder, settings, stack)
