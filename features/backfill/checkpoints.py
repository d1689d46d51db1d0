"""The state as of some midnights, in files: where a run goes on, and where blocks of days begin.

Each counter has a file of its own, which says what it depends on. So a counter that a new feature
brings is added without touching the others, and a file that no longer holds is passed by.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from data_contracts.storage import atomic_file
from features.arrays.clock import day_name, day_number
from features.backfill.provenance import Provenance
from features.batch.counters.counter import Counter
from features.batch.counters.tile_files import StoredTiles, drop_before, drop_from
from features.batch.counters.tiles import Tile
from features.batch.history import RecentHistory
from features.batch.state import FeatureState
from features.counter_spec import EVER, CounterSpec
from features.log.events import EVENT_ARRAYS, Events
from features.snapshots.snapshot import Snapshot

_RECENT, _INPUTS = "histories", "inputs"
_STATE_PARTS = ("codes", "totals", "first", "last")
_LATE = ("late_day", "late_codes", "late_moments", "late_values")


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
            settings.history, settings.forget_days, Events.none(self.provenance.log.kinds)
        )
        return FeatureState(day, counters, recent, lambda: first)

    def save(self, state: FeatureState) -> None:
        """Write a state; a file that is there and still holds is left as it is."""
        provenance, folder = self.provenance, self._midnight(state.day)
        state.recent.tidy()
        arrays = {name: getattr(state.recent.events, name) for name in EVENT_ARRAYS}
        _save(folder / f"{_RECENT}.safetensors", arrays, provenance.recent(state.day))
        for counter in state.counters.values():
            counter.tidy()
            if isinstance(counter.tiles, StoredTiles):
                counter.tiles.flush()
            arrays = {name: getattr(counter, name)[: counter.size] for name in _STATE_PARTS}
            arrays |= _pack_late(counter.late)
            path = folder / f"{counter.spec.name}.safetensors"
            _save(path, arrays, provenance.counter(counter.spec, state.day))

    def has(self, day: int, specs: Sequence[CounterSpec]) -> bool:
        """Tell whether all of some counters, and the histories, are there as of a midnight."""
        folder, provenance = self._midnight(day), self.provenance
        if _inputs_of(folder / f"{_RECENT}.safetensors") != provenance.recent(day):
            return False
        return all(self.has_counter(day, spec) for spec in specs)

    def has_counter(self, day: int, spec: CounterSpec) -> bool:
        """Tell whether a counter is there as of a midnight."""
        path = self._midnight(day) / f"{spec.name}.safetensors"
        return _inputs_of(path) == self.provenance.counter(spec, day)

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
        folder, settings = self._midnight(day), self.provenance.settings
        arrays = load_file(folder / f"{_RECENT}.safetensors")
        events = Events.of([arrays[name] for name in EVENT_ARRAYS], self.provenance.log.kinds)
        recent = RecentHistory(settings.history, settings.forget_days, events)
        counters = {}
        for spec in specs:
            arrays = load_file(folder / f"{spec.name}.safetensors")
            tiles = self._stored(spec, day, writes=writes)
            codes, totals, first, last = (arrays[name] for name in _STATE_PARTS)
            late = _unpack_late(arrays)
            counters[spec.name] = Counter(spec, day, codes, totals, first, last, tiles, late)
        return FeatureState(day, counters, recent, snapshot)

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
                (self._midnight(each) / f"{spec.name}.safetensors").unlink(missing_ok=True)
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

    def _tiles(self, spec: CounterSpec) -> Path:
        return self.folder / "tiles" / spec.name

    def _stored(self, spec: CounterSpec, day: int, *, writes: bool) -> StoredTiles:
        """Give the tiles that the windows of a state of some midnight reach back to."""
        longest = max((days for days in spec.windows if days != EVER), default=0)
        since = max(day - longest, self.provenance.log.first_day)
        return StoredTiles(self._tiles(spec), since, day, writes=writes)


def _save(path: Path, arrays: dict[str, np.ndarray], inputs: str) -> None:
    if _inputs_of(path) == inputs:
        return
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    with atomic_file(path) as part:
        save_file(contiguous, part, metadata={_INPUTS: inputs})


def _inputs_of(path: Path) -> str | None:
    try:
        with safe_open(path, framework="numpy") as file:
            metadata: dict[str, str] = file.metadata() or {}
            return metadata.get(_INPUTS)
    except (OSError, SafetensorError):
        return None


def _pack_late(late: dict[int, Tile]) -> dict[str, np.ndarray]:
    parts = [(np.full(len(tile.moments), day), *tile.events()) for day, tile in late.items()]
    columns = zip(*parts, strict=True) if parts else [[np.zeros(0, np.int64)]] * len(_LATE)
    return {name: np.concatenate(list(column)) for name, column in zip(_LATE, columns, strict=True)}


def _unpack_late(arrays: dict[str, np.ndarray]) -> dict[int, Tile]:
    day, codes, moments, values = (arrays[name] for name in _LATE)
    return {
        each: Tile.of(codes[day == each], moments[day == each], values[day == each])
        for each in np.unique(day).tolist()
    }
