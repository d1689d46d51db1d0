"""Tiles: one day's events of a counter, by key and moment.

An event is on time when it became known in the hour it happened; then one tile answers for every
window, since windows begin at full hours. A late event is written, per window, as a signed pair:
its value from the moment it was known, taken off from the moment the window leaves it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from features.arrays.clock import DAY
from features.arrays.compiled import compiled
from features.arrays.key_index import KeyIndex

_NO_TIMES = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Tile:
    """One day's events of a counter, key by key, each key's by moment.

    Attributes:
        codes: int64 [n_keys], the keys that had events, each once.
        moments: int64 [n_events], place of the key and microsecond of the day as one number,
            ascending.
        running: int64 [n_events + 1], running total of the values.
        starts: int64 [n_keys + 1], where each key's events begin.
        newest: int64 [n_events], latest time among the key's events up to this one, UTC
            microseconds; nothing when it is the moment itself.
        oldest: The same for the earliest time.
    """

    codes: np.ndarray
    moments: np.ndarray
    running: np.ndarray
    starts: np.ndarray
    newest: np.ndarray = field(default_factory=lambda: _NO_TIMES)
    oldest: np.ndarray = field(default_factory=lambda: _NO_TIMES)

    @classmethod
    def of(
        cls,
        codes: np.ndarray,
        moment: np.ndarray,
        values: np.ndarray,
        times: np.ndarray | None = None,
        number: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> "Tile":
        """Sort a day's events by key and moment; keys are in the order of their first moment.

        Args:
            codes: int64 [n_events], the key of each event.
            moment: int64 [n_events], microseconds since midnight UTC.
            values: int64 [n_events], what each event adds.
            times: int64 [n_events], when the events happened, UTC microseconds, where that may
                differ from the moment.
            number: Numbers keys in the order in which they first occur; a hash table when absent.

        Returns:
            The tile.
        """
        if (moment[1:] < moment[:-1]).any():
            order = np.argsort(moment, kind="stable")
            codes, moment, values = codes[order], moment[order], values[order]
            times = None if times is None else times[order]
        key = KeyIndex().add(codes) if number is None else number(codes)
        happened = _NO_TIMES if times is None else times
        return cls(*_gathered(codes, key, moment, values, happened))

    @property
    def totals(self) -> np.ndarray:
        """The day's total per key, int64 [n_keys]."""
        totals: np.ndarray = np.diff(self.running[self.starts])
        return totals

    def ends(self, midnight: int) -> tuple[np.ndarray, np.ndarray]:
        """Time of each key's first and last event, int64 [n_keys], UTC microseconds."""
        last = self.starts[1:] - 1
        if len(self.newest):
            return self.oldest[last], self.newest[last]
        first = self.moments[self.starts[:-1]] % DAY
        return midnight + first, midnight + self.moments[last] % DAY

    def by(self, unit: int) -> "Tile":
        """Coarser tile for subtraction, which is read at whole hours or days only.

        Args:
            unit: Microseconds of an hour or a day; what happens within one becomes one event.

        Returns:
            A smaller tile with the same answers at the full units, without times.
        """
        return Tile(self.codes, *_coarser(self.moments, self.running, self.starts, unit))

    def joined(self, other: "Tile") -> "Tile":
        """Events of both tiles, without times."""
        if not len(other.codes):
            return self
        if not len(self.codes):
            return other
        parts = [tile.events() for tile in (self, other)]
        codes, moments, values = (np.concatenate(each) for each in zip(*parts, strict=True))
        return Tile.of(codes, moments, values)

    def events(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Key, the moment of the day and the value of each event, int64 [n_events]."""
        rank = np.repeat(np.arange(len(self.codes)), np.diff(self.starts))
        return self.codes[rank], self.moments - rank * DAY, np.diff(self.running)


@compiled
def _gathered(
    codes: np.ndarray, key: np.ndarray, moment: np.ndarray, values: np.ndarray, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Lay events key by key.

    Args:
        codes: int64 [n], keys.
        key: int64 [n], their numbers, in the order in which the keys first occur.
        moment: int64 [n], ascending.
        values: int64 [n].
        times: int64 [n], or nothing when they are the moments.

    Returns:
        The arrays of a tile.
    """
    count = len(codes)
    keys = 0
    for event in range(count):
        keys = max(keys, key[event] + 1)
    starts = np.zeros(keys + 1, np.int64)
    for event in range(count):
        starts[key[event] + 1] += 1
    for one in range(keys):
        starts[one + 1] += starts[one]
    free = starts[:-1].copy()
    names, moments = np.empty(keys, np.int64), np.empty(count, np.int64)
    running = np.zeros(count + 1, np.int64)
    newest, oldest = np.empty(len(times), np.int64), np.empty(len(times), np.int64)
    for event in range(count):
        one = key[event]
        place = free[one]
        free[one] += 1
        names[one] = codes[event]
        moments[place] = one * DAY + moment[event]
        running[place + 1] = values[event]
        if len(times):
            earlier = place > starts[one]
            newest[place] = max(times[event], newest[place - 1]) if earlier else times[event]
            oldest[place] = min(times[event], oldest[place - 1]) if earlier else times[event]
    for place in range(count):
        running[place + 1] += running[place]
    return names, moments, running, starts, newest, oldest


@compiled
def _coarser(
    moments: np.ndarray, running: np.ndarray, starts: np.ndarray, unit: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make one event of those of a key and unit: their moments, running totals and starts."""
    keys = len(starts) - 1
    new_moments, new_running = np.empty(len(moments), np.int64), np.empty(len(running), np.int64)
    new_starts = np.zeros(keys + 1, np.int64)
    used = 0
    for one in range(keys):
        for place in range(starts[one], starts[one + 1]):
            whole = moments[place] // unit * unit
            if used == new_starts[one] or new_moments[used - 1] != whole:
                new_moments[used] = whole
                new_running[used] = running[place]
                used += 1
        new_starts[one + 1] = used
    new_running[used] = running[-1]
    return new_moments[:used].copy(), new_running[: used + 1].copy(), new_starts


EMPTY_TILE = Tile(
    np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(1, np.int64), np.zeros(1, np.int64)
)


@dataclass(frozen=True)
class LateEvents:
    """Events of a counter that became known after the hour they happened.

    Attributes:
        codes: int64 [n], keys.
        time: int64 [n], when they happened, UTC microseconds.
        values: int64 [n], what each adds.
        windows: Per window, the signed pairs as a tile of the day they became known. The window
            without a beginning has their times.
    """

    codes: np.ndarray
    time: np.ndarray
    values: np.ndarray
    windows: Mapping[int, Tile]


@dataclass(frozen=True)
class DayEvents:
    """Events of a counter that became known on one day.

    Attributes:
        tile: The events on time.
        late: The others; None when there are none.
    """

    tile: Tile = field(default_factory=lambda: EMPTY_TILE)
    late: LateEvents | None = None


NO_DAY_EVENTS = DayEvents(EMPTY_TILE)
