"""The state as of some midnights, in files: where a run goes on, and where blocks of days begin.

Each counter has a file of its own, which says what it depends on. So a counter that a new feature
brings is added without touching the others, and a file that no longer holds is passed by.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_contracts.array_file import ArrayFormat, Arrays
from features.arrays.clock import day_name, day_number
from features.backfill.provenance import Provenance
from features.batch.counters.counter import Counter
from features.batch.counters.tile_files import StoredTiles, drop_before, drop_from
from features.batch.history import RecentHistory
from features.batch.state import FeatureState
from features.batch.state_arrays import counter_arrays, counter_of, events_of, recent_arrays
from features.counter_spec import EVER, CounterSpec
from features.log.events import Events
from features.snapshots.snapshot import Snapshot

FORMAT = ArrayFormat("a checkpoint of a backfill", 2, "run `recsys backfill --again`")
_RECENT = "histories"


@dataclass(frozen=True)
class Checkpoints:
    """The folder of checkpoints and of the tiles behind them.

    Attributes:
        folder: `midnights/DATE/COUNTER.safetensors` and `tiles/COUNTER/DATE_DATE.safetensors`,
            the first and last day in it.
        provenance: What a file must depend on to be of use.
    """

    folder: Path
    provenance: Provenance

    def begin(self, specs: Sequence[CounterSpec], first: Snapshot, *, writes: bool) -> FeatureState:
        """Give the state before the first event of the log."""
        settings = self.provenance.settings
        day = self.provenance.log.first_day
        counters = {
            spec.name: Counter(spec, day, tiles=self._stored(spec, day, writes=writes))
            for spec in specs
        }
        recent = RecentHistory(
            settings.history, settings.forget_days, Events.none(self.provenance.log.event_kinds)
        )
        return FeatureState(day, counters, recent, self.provenance.log.window, lambda: first)

    def save(self, state: FeatureState) -> None:
        """Write a state; a file that is there and still holds is left as it is."""
        day = state.day
        state.recent.tidy()
        self._save(day, _RECENT, recent_arrays(state.recent, ""), self.provenance.recent(day))
        for name, counter in state.counters.items():
            if isinstance(counter.tiles, StoredTiles):
                counter.tiles.flush()
            arrays = counter_arrays(counter, "", tiles=False)
            self._save(day, name, arrays, self.provenance.counter(counter.spec, day))

    def has(self, day: int, specs: Sequence[CounterSpec]) -> bool:
        """Tell whether all of some counters, and the histories, are there as of a midnight."""
        if self._inputs_of(day, _RECENT) != self.provenance.recent(day):
            return False
        return all(self.has_counter(day, spec) for spec in specs)

    def has_counter(self, day: int, spec: CounterSpec) -> bool:
        """Tell whether a counter is there as of a midnight."""
        return self._inputs_of(day, spec.name) == self.provenance.counter(spec, day)

    def latest(self, specs: Sequence[CounterSpec], until: int) -> int | None:
        """Give the last midnight at which all of some counters are there; None for none."""
        log = self.provenance.log
        days = [day for day in self.days() if log.first_day < day <= min(until, log.end_day)]
        return next((day for day in sorted(days, reverse=True) if self.has(day, specs)), None)

    def load(
        self,
        day: int,
        specs: Sequence[CounterSpec],
        snapshot: Callable[[], Snapshot],
        *,
        writes: bool,
    ) -> FeatureState:
        """Read a state that `has` says is there.

        Args:
            day: Day number of the midnight.
            specs: The counters.
            snapshot: Gives the state's snapshot.
            writes: Whether the state will write tiles as it goes on.

        Returns:
            The state.
        """
        settings, log = self.provenance.settings, self.provenance.log
        with FORMAT.reading(self._file(day, _RECENT)) as file:
            events = events_of(file, "", log.event_kinds)
        counters = {}
        for spec in specs:
            tiles = self._stored(spec, day, writes=writes)
            with FORMAT.reading(self._file(day, spec.name)) as file:
                counters[spec.name] = counter_of(file, "", spec, day, tiles)
        recent = RecentHistory(settings.history, settings.forget_days, events)
        return FeatureState(day, counters, recent, log.window, snapshot)

    def days(self) -> list[int]:
        """List the midnights that have any file."""
        folder = self.folder / "midnights"
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        return sorted(map(day_number, names))

    def drop_after(self, day: int, specs: Sequence[CounterSpec]) -> None:
        """Remove what a run that begins at a midnight will make anew: its counters' later files."""
        later = [each for each in self.days() if each > day]
        for spec in specs:
            for each in later:
                self._file(each, spec.name).unlink(missing_ok=True)
            drop_from(self._tiles(spec), day)

    def prune(self, keep: set[int]) -> None:
        """Remove the checkpoints before the last of some midnights but for these, and old tiles.

        Later ones stay: they may hold counters that the walk does not carry.
        """
        for day in self.days():
            if day not in keep and not max(keep) < day <= self.provenance.log.end_day:
                shutil.rmtree(self._midnight(day), ignore_errors=True)
        longest = max(
            (days for spec in self.provenance.features.counters for days in spec.windows), default=0
        )
        for folder in (self.folder / "tiles").glob("*"):
            drop_before(folder, min(keep) - longest)

    def _midnight(self, day: int) -> Path:
        return self.folder / "midnights" / day_name(day)

    def _file(self, day: int, name: str) -> Path:
        return self._midnight(day) / f"{name}.safetensors"

    def _inputs_of(self, day: int, name: str) -> object:
        return FORMAT.head(self._file(day, name)).get("inputs")

    def _save(self, day: int, name: str, arrays: Arrays, inputs: str) -> None:
        if self._inputs_of(day, name) != inputs:
            FORMAT.write(self._file(day, name), arrays, {"inputs": inputs})

    def _tiles(self, spec: CounterSpec) -> Path:
        return self.folder / "tiles" / spec.name

    def _stored(self, spec: CounterSpec, day: int, *, writes: bool) -> StoredTiles:
        """Give the tiles that the windows of a state of some midnight reach back to."""
        longest = max((days for days in spec.windows if days != EVER), default=0)
        since = max(day - longest, self.provenance.log.first_day)
        return StoredTiles(self._tiles(spec), since, day, writes=writes)
