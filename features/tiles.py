"""What became known of a counter on one day: tiles sorted by key and moment.

An event is on time when it became known in the hour it happened; then one tile answers for every
window, since windows begin at full hours. A late event is written, per window, as a signed pair:
its value from the moment it was known, taken off from the moment the window leaves it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from features.clock import DAY, NO_TIME


@dataclass(frozen=True)
class Tile:
    """One day's events of a counter, by key and moment.

    Attributes:
        codes: int64 [n_keys], the keys that had events, ascending.
        moments: int64 [n_events], rank of the key and microsecond of the day as one number,
            ascending.
        running: int64 [n_events + 1], running total of the values.
        starts: int64 [n_keys + 1], where each key's events begin.
        newest: int64 [n_events], latest time among the key's events up to this one, UTC
            microseconds; None when it is the moment itself.
        oldest: The same for the earliest time.
    """

    codes: np.ndarray
    moments: np.ndarray
    running: np.ndarray
    starts: np.ndarray
    newest: np.ndarray | None = None
    oldest: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        codes: np.ndarray,
        moment: np.ndarray,
        values: np.ndarray,
        times: np.ndarray | None = None,
    ) -> "Tile":
        """Sort a day's events by key and moment.

        Args:
            codes: int64 [n_events], the key of each event.
            moment: int64 [n_events], microseconds since midnight UTC.
            values: int64 [n_events], what each event adds.
            times: int64 [n_events], when the events happened, UTC microseconds, where that may
                differ from the moment.

        Returns:
            The tile.
        """
        keys, rank = np.unique(codes, return_inverse=True)
        moments = rank * DAY + moment
        order = np.argsort(moments, kind="stable")
        moments = moments[order]
        running = np.append(0, np.cumsum(values[order]))
        starts = np.searchsorted(moments, np.arange(len(keys) + 1) * DAY)
        if times is None:
            return cls(keys, moments, running, starts)
        newest, oldest = _extremes(rank[order], times[order])
        return cls(keys, moments, running, starts, newest, oldest)

    @property
    def totals(self) -> np.ndarray:
        """The day's total per key, int64 [n_keys]."""
        totals: np.ndarray = np.diff(self.running[self.starts])
        return totals

    def ends(self, midnight: int) -> tuple[np.ndarray, np.ndarray]:
        """Give the time of each key's first and last event, int64 [n_keys], UTC microseconds."""
        last = self.starts[1:] - 1
        if self.newest is not None and self.oldest is not None:
            return self.oldest[last], self.newest[last]
        first = self.moments[self.starts[:-1]] % DAY
        return midnight + first, midnight + self.moments[last] % DAY

    def before(self, asked: "Asked", moment: np.ndarray) -> "Before":
        """Find, per question, the key's events of this day that lie before a moment of the day.

        Args:
            asked: The keys asked for, n questions; absent keys have no events.
            moment: int64 [n], microseconds since midnight UTC, at most a day.

        Returns:
            Where these events begin and end.
        """
        nothing = np.zeros(0, np.int64)
        if not len(self.codes) or not len(asked.keys):
            return Before(self, len(moment), nothing, nothing, nothing)
        rank = np.minimum(np.searchsorted(self.codes, asked.keys), len(self.codes) - 1)
        present = self.codes[rank] == asked.keys
        question = np.flatnonzero(present[asked.key_of])
        rank = rank[asked.key_of[question]]
        end = np.searchsorted(self.moments, rank * DAY + moment[question])
        return Before(self, len(moment), question, self.starts[rank], end)

    def by(self, unit: int) -> "Tile":
        """Give the tile for taking totals off, which is asked at whole hours or days only.

        Args:
            unit: Microseconds of an hour or a day; what happens within one becomes one event.

        Returns:
            A smaller tile with the same answers at the full units, without times.
        """
        whole = self.moments // unit
        begins = np.flatnonzero(np.append(True, whole[1:] != whole[:-1])[: len(whole)])
        running = np.append(self.running[begins], self.running[-1])
        moments = whole[begins] * unit
        starts = np.searchsorted(begins, self.starts)
        return Tile(self.codes, moments, running, starts)

    def joined(self, other: "Tile") -> "Tile":
        """Give the events of both tiles, without times."""
        if not len(other.codes):
            return self
        if not len(self.codes):
            return other
        parts = [tile.events() for tile in (self, other)]
        codes, moments, values = (np.concatenate(each) for each in zip(*parts, strict=True))
        return Tile.of(codes, moments, values)

    def events(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give the key, the moment of the day and the value of each event, int64 [n_events]."""
        rank = np.repeat(np.arange(len(self.codes)), np.diff(self.starts))
        return self.codes[rank], self.moments - rank * DAY, np.diff(self.running)


def _extremes(rank: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the greatest and least time among each key's events so far, two int64 [n].

    Times are ranked first, so that key and time fit into one number and one running maximum serves
    all keys.
    """
    count = len(times)
    by_time = np.argsort(times, kind="stable")
    place = np.empty(count, np.int64)
    place[by_time] = np.arange(count)
    key = rank * count
    newest = np.maximum.accumulate(key + place) - key
    oldest = np.minimum.accumulate(place - key) + key
    ordered = times[by_time]
    return ordered[newest], ordered[oldest]


@dataclass(frozen=True)
class Asked:
    """Keys that are asked for, each once in order, so that finding them is quick and shared.

    Attributes:
        keys: int64 [n_keys], ascending.
        key_of: int64 [n], the place among `keys` of each question's key.
    """

    keys: np.ndarray
    key_of: np.ndarray

    @classmethod
    def of(cls, codes: np.ndarray) -> "Asked":
        """Sort the keys of some questions, int64 [n]."""
        keys, key_of = np.unique(codes, return_inverse=True)
        return cls(keys, key_of)


@dataclass(frozen=True)
class Before:
    """Runs of events of a tile, one run a question whose key has events on the day.

    Attributes:
        tile: The tile.
        count: Number of questions, n.
        question: int64 [n_runs], place of the run's question.
        start: int64 [n_runs], first event of the run.
        end: int64 [n_runs], the event after its last one.
    """

    tile: Tile
    count: int
    question: np.ndarray
    start: np.ndarray
    end: np.ndarray

    def add_total(self, total: np.ndarray, sign: int = 1) -> None:
        """Add the sum of the values of each run to its question's number, int64 [n]."""
        if len(self.question):
            running = self.tile.running
            total[self.question] += sign * (running[self.end] - running[self.start])

    def last(self, midnight: int) -> np.ndarray:
        """Give the time of each question's last event, int64 [n]; `NO_TIME` for none."""
        return self._time(self.end - 1, midnight, self.tile.newest)

    def first(self, midnight: int) -> np.ndarray:
        """Give the time of each question's first event, int64 [n]; `NO_TIME` for none."""
        if self.tile.oldest is not None:
            return self._time(self.end - 1, midnight, self.tile.oldest)
        return self._time(self.start, midnight, None)

    def _time(self, place: np.ndarray, midnight: int, times: np.ndarray | None) -> np.ndarray:
        found = np.full(self.count, NO_TIME)
        some = np.flatnonzero(self.end > self.start)
        place = place[some]
        time = midnight + self.tile.moments[place] % DAY if times is None else times[place]
        found[self.question[some]] = time
        return found


EMPTY_TILE = Tile.of(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))


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
class Arrivals:
    """What became known of a counter on one day.

    Attributes:
        tile: The events on time.
        late: The others; None when there are none.
    """

    tile: Tile = field(default_factory=lambda: EMPTY_TILE)
    late: LateEvents | None = None


NO_ARRIVALS = Arrivals(EMPTY_TILE)
