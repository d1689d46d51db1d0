"""The files of a simulated log, written day by day, and the counts of what went into them."""

from contextlib import ExitStack, closing
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
from recsys.datasets.simulation.faults import add_faults, arrivals_of_requests
from recsys.datasets.simulation.robots import FIRST_NUMBER, robot_count
from recsys.datasets.simulation.shop import Shop
from recsys.datasets.simulation.world.catalogue import as_instants, day_start_us
from recsys.datasets.simulation.world.settings import SimulationReport
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
    """A Parquet file written one row group after the other; created at the first."""

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
    its day is over, since purchases follow up to a day after what led to them. The files in
    `folder` are complete when the stack `files` is closed.
    """

    def __init__(self, folder: Path, shop: Shop, files: ExitStack) -> None:
        def table(path: Path) -> ParquetAppender:
            return files.enter_context(closing(ParquetAppender(path)))

        self._shop = shop
        self._impressions = table(folder / TableSettings().impressions)
        self._interactions = table(folder / TableSettings().interactions)
        self._truth: dict[type[dy.Schema], ParquetAppender] = {
            contract: table(truth_path(folder, contract))
            for contract in (TruthImpressions, TruthLate, TruthDuplicates, TruthOrphans)
        }
        self._pending: list[pl.DataFrame] = []
        self._robot_requests = np.zeros(robot_count(shop.settings), np.int64)
        self._robot_clicks = np.zeros_like(self._robot_requests)
        self._counts = dict.fromkeys((CLICK, CART, PURCHASE), 0)
        self._sessions = self._requests = self._late_impressions = 0

    def write_day(self, day: int) -> None:
        """Simulate the next day; write its impressions, and the interactions that fell on it."""
        # Of people, then of robots: the numbers that the next interaction and session get.
        interaction, session = [0, FIRST_NUMBER], [0, FIRST_NUMBER]
        for people, robots in self._shop.simulate_day(day):
            self._write_shown([part for part in (people, robots) if len(part.visits)])
            self._count_robots(robots)
            for group, part in enumerate((people, robots)):
                done = interaction_table(interaction[group], part, self._shop.versions)
                self._pending.append(done)
                interaction[group] += done.height
                session[group] = part.visits.session.max(initial=session[group] - 1) + 1
                self._requests += len(part.visits)
        self._sessions += int(sum(session)) - FIRST_NUMBER
        self._write_done(day)

    def _write_shown(self, parts: list[SlateOutcomes]) -> None:
        settings = self._shop.settings
        shown = pl.concat(
            impression_table(part, arrivals_of_requests(part.visits, settings)) for part in parts
        )
        truth = pl.concat(map(truth_table, parts))
        if len(parts) > 1:
            time = shown[Impressions.timestamp.name].to_physical().to_numpy()
            order = np.argsort(time, kind="stable")
            shown, truth = shown[order], truth[order]
        self._late_impressions += shown[Impressions.ingested_at.name].count()
        self._impressions.write(shown)
        self._truth[TruthImpressions].write(truth)

    def _count_robots(self, robots: SlateOutcomes) -> None:
        np.add.at(self._robot_requests, robots.visits.user, 1)
        np.add.at(self._robot_clicks, robots.visits.user, robots.actions.clicked.sum(axis=1))

    def _write_done(self, day: int) -> None:
        order = (Interactions.timestamp.name, Interactions.event_id.name)
        midnight = as_instants("", np.array([day_start_us(self._shop.settings, day + 1)]))[0]
        over = Interactions.timestamp.col < midnight
        done = pl.concat(self._pending).sort(order)
        past = done.filter(over)
        self._pending = [done.filter(~over)]
        for kind in self._counts:
            self._counts[kind] += past.filter(Interactions.kind.col == kind).height
        logged, faults = add_faults(past, self._shop.settings, day)
        self._interactions.write(logged)
        for contract, rows in faults.items():
            self._truth[contract].write(rows)

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

    def report(self, path: Path) -> SimulationReport:
        """Count what was written to the workspace at `path`."""
        versions = self._shop.versions
        return SimulationReport(
            path=path,
            users=len(self._shop.users.activity),
            items=len(self._shop.catalogue.texts),
            item_versions=len(versions.item),
            deleted_items=np.count_nonzero(versions.deleted),
            late_items=np.count_nonzero(versions.known_us > versions.since_us),
            sessions=self._sessions,
            requests=self._requests,
            impressions=self._impressions.rows,
            late_impressions=self._late_impressions,
            clicks=self._counts[CLICK],
            carts=self._counts[CART],
            purchases=self._counts[PURCHASE],
            unseen_interactions=sum(rows.height for rows in self._pending),
            late=self._truth[TruthLate].rows,
            duplicates=self._truth[TruthDuplicates].rows,
            orphans=self._truth[TruthOrphans].rows,
            bots=np.count_nonzero(self._robot_requests),
            bot_requests=int(self._robot_requests.sum()),
        )
