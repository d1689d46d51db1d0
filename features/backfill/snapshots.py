"""The snapshots of a backfill: computed when due, stored, reused while inputs are unchanged."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from features.arrays.clock import DAY, day_name
from features.backfill.provenance import Provenance
from features.kinds.counts import rate_name
from features.log.events import IMPRESSION, Events, attributed
from features.snapshots.files import load_snapshot, save_snapshot, snapshot_inputs
from features.snapshots.snapshot import Snapshot
from features.snapshots.take import empty_snapshot, snapshot


@dataclass(frozen=True)
class SnapshotStore:
    """The snapshots of a log.

    Attributes:
        folder: One folder a snapshot.
        provenance: The log, the features and the settings they depend on.
    """

    folder: Path
    provenance: Provenance

    def due(self, day: int) -> int:
        """Midnight whose snapshot the rows of a day use; the log's first for the empty."""
        cadence = self.provenance.settings.snapshot_days
        return max(day // cadence * cadence, self.provenance.log.first_day)

    def needed(self, first_day: int, end_day: int) -> list[int]:
        """List the midnights whose snapshots the rows of some days use."""
        return sorted({self.due(day) for day in range(first_day, end_day)})

    def at(self, day: int) -> Snapshot:
        """Snapshot that the rows of a day use; computed when it is missing."""
        due = self.due(day)
        if self.is_there(due):
            # The codes of what the log had named by then stay the same.
            return load_snapshot(self.folder / day_name(due)).snapshot
        taken = self._take(due)
        catalogue = self.provenance.log.catalogue
        save_snapshot(taken, catalogue, self.folder, self.provenance.snapshot(due))
        return taken

    def take(self, days: Iterable[int]) -> None:
        """Compute the missing snapshots of some days."""
        for due in sorted({self.due(day) for day in days}):
            if not self.is_there(due):
                self.at(due)

    def prune(self) -> None:
        """Remove the snapshots that are out of date."""
        log = self.provenance.log
        dues = {day_name(due): due for due in self.needed(log.first_day, log.end_day + 1)}
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            due = dues.get(path.name)
            if due is None or not self.is_there(due):
                shutil.rmtree(path, ignore_errors=True)

    def is_there(self, due: int) -> bool:
        """Whether the snapshot of a midnight is stored and up to date."""
        return snapshot_inputs(self.folder, due) == self.provenance.snapshot(due)

    def _take(self, day: int) -> Snapshot:
        log, settings = self.provenance.log, self.provenance.settings
        columns, count = self.provenance.features.valued_columns, log.items_named_by(day)
        if day == log.first_day:
            rates = self._rates(Events.none(log.event_kinds), day)
            return empty_snapshot(day, log.catalogue, columns, count, rates)
        start = day - settings.snapshot_window_days
        events = log.arrivals(start, day)
        events = events.take(np.flatnonzero(events.time >= start * DAY))
        return snapshot(
            events,
            day,
            log.catalogue,
            columns,
            count,
            settings.neighbours,
            self._rates(events, day),
        )

    def _rates(self, events: Events, day: int) -> dict[str, float]:
        """Overall rates of the window before a midnight; one event of both is added.

        As the rates, they count attributed events only.
        """
        log = self.provenance.log
        start = day - self.provenance.settings.snapshot_window_days
        counts = {kind: len(events.of_kind(kind)) for kind in events.kinds}
        counts[IMPRESSION] = log.count_shown(start, day)
        return {
            rate_name(kind, per): (counts[attributed(kind)] + 1) / (counts[attributed(per)] + 1)
            for kind, per in self.provenance.features.rates
        }
