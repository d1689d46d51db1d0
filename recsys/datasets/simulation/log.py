"""Writing a simulated log: tables that grow piece by piece, and what went into them, counted."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
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
    Actions,
    impression_table,
    interaction_table,
    truth_table,
)
from recsys.datasets.simulation.dirt import soil
from recsys.datasets.simulation.robots import FIRST_NUMBER, RobotDay, robot_count
from recsys.datasets.simulation.shop import Piece, Shop
from recsys.datasets.simulation.visits import Visits
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


class Table:
    """A Parquet file written one row group after the other, which opens at the first.

    Args:
        path: Where it stands.
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


@contextmanager
def _open(path: Path) -> Iterator[Table]:
    table = Table(path)
    try:
        yield table
    finally:
        table.close()


class LogWriter:
    """Writes the impressions, the interactions and their truth of a shop.

    Rows stand in order of time; every day begins a row group. An interaction is held back until
    its day is over, since purchases follow up to a day after what led to them.

    Args:
        folder: Of the workspace.
        settings: Of the shop.
        stack: Closes the files.
    """

    def __init__(self, folder: Path, settings: SimulationSettings, stack: ExitStack) -> None:
        def table(path: Path) -> Table:
            return stack.enter_context(_open(path))

        def truth(wanted: float, contract: type[dy.Schema]) -> Table | None:
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

    def write_day(self, day: int, pieces: Iterable[Piece], price: np.ndarray) -> None:
        """Write a day's impressions, and the interactions that fell on it.

        Args:
            day: Day of the log, from 0.
            pieces: Its requests.
            price: float64 [n_items].
        """
        people, robots = _Numbers(0), _Numbers(FIRST_NUMBER)
        for piece in pieces:
            self._write_shown(piece)
            crawl = piece.robots
            done = people.interactions(day, piece.visits, piece.slate, piece.actions, price)
            clicks = robots.interactions(day, crawl.visits, crawl.slate, crawl.actions, price)
            self._pending += [done, clicks] if clicks.height else [done]
            self._requests += len(piece.visits) + len(crawl.visits)
            self._count_robots(crawl)
        self._sessions += people.sessions + robots.sessions
        self._write_done(day)

    def _write_shown(self, piece: Piece) -> None:
        crawl = piece.robots
        shown = impression_table(piece.day, piece.visits, piece.slate, piece.listed)
        truth = truth_table(piece.day, piece.visits, piece.slate, piece.choices)
        if len(crawl.visits):
            crawled = impression_table(piece.day, crawl.visits, crawl.slate, piece.listed)
            beside = truth_table(piece.day, crawl.visits, crawl.slate, crawl.choices)
            shown, truth = pl.concat([shown, crawled]), pl.concat([truth, beside])
            time = shown[Impressions.timestamp.name].to_physical().to_numpy()
            order = np.argsort(time, kind="stable")
            shown, truth = shown[order], truth[order]
        self._impressions.write(shown)
        self._truth.write(truth)

    def _count_robots(self, crawl: RobotDay) -> None:
        robot, clicks = crawl.visits.user, crawl.actions.clicked.sum(axis=1)
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
        soiled = soil(past, self._settings, day)
        self._interactions.write(soiled.log)
        for table, rows in (
            (self._late, soiled.late),
            (self._duplicates, soiled.duplicates),
            (self._orphans, soiled.orphans),
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


def _rows(table: Table | None) -> int:
    return 0 if table is None else table.rows


@dataclass
class _Numbers:
    """Numbers the interactions of one sort of visitors within a day, and counts their visits."""

    first: int
    interactions_so_far: int = 0
    sessions: int = 0

    def interactions(
        self, day: int, visits: Visits, slate: np.ndarray, actions: Actions, price: np.ndarray
    ) -> pl.DataFrame:
        number = self.first + self.interactions_so_far
        rows = interaction_table(day, number, visits, slate, actions, price)
        self.interactions_so_far += rows.height
        if len(visits):
            self.sessions = max(self.sessions, int(visits.session.max()) - self.first + 1)
        return rows


@contextmanager
def open_log(folder: Path, settings: SimulationSettings) -> Iterator[LogWriter]:
    """Open the tables of a log; they are complete when the block ends."""
    with ExitStack() as stack:
        yield LogWriter(folder, settings, stack)
