"""Windowed counters as a plain loop over events and rows computes them, one row after the other."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from benchmarks.features.feast_tables import Count

Row = tuple[Any, ...]
"""Of a request's candidate: time in UTC microseconds, then the parts of keys in order, such as
user (None for a guest) and item."""

Event = tuple[Any, ...]
"""Time in UTC microseconds, the parts of keys, kind."""

PARTS = ("user", "item")


class Window:
    """One counter of all keys: per key the times of the events in its window.

    Args:
        count: Which counter.
        parts: The parts of keys, in the order in which rows and events have them.
    """

    def __init__(self, count: Count, parts: Sequence[str]) -> None:
        self.events = count.events
        self._key = itemgetter(*(1 + parts.index(part) for part in count.key))
        self._is_pair = len(count.key) > 1
        self._start = count.start
        self._times: dict[Any, deque[int]] = {}

    def _is_missing(self, key: Any) -> bool:
        return None in key if self._is_pair else key is None

    def add(self, event: Event) -> None:
        """Take an event in; one whose key has a null part counts for nobody."""
        key = self._key(event)
        if not self._is_missing(key):
            self._times.setdefault(key, deque()).append(event[0])

    def value(self, row: Row) -> int:
        """Count the events of a row's key that its window holds; 0 for a key with a null part."""
        times = self._times.get(self._key(row))
        if times is None:
            return 0
        start = self._start(row[0])
        while times and times[0] < start:
            times.popleft()
        return len(times)


class Scan(Window):
    """The same counter without a memory of its window: each row looks through its key's past."""

    def value(self, row: Row) -> int:
        """Count the events of a row's key that lie in the window; 0 for a key with a null part."""
        start = self._start(row[0])
        return sum(1 for when in self._times.get(self._key(row), ()) if when >= start)


def plain_rows(
    rows: Iterable[Row],
    events: Sequence[Event],
    counts: Sequence[Count],
    counter: type[Window] = Window,
    parts: Sequence[str] = PARTS,
) -> Iterator[dict[str, int]]:
    """Compute the counters of each row from the events strictly before it.

    Args:
        rows: In order of time.
        events: In order of time.
        counts: The counters.
        counter: How each of them is counted.
        parts: The parts of keys, in the order in which rows and events have them.

    Yields:
        Per row, its counters by name.
    """
    windows = {count.name: counter(count, parts) for count in counts}
    by_kind: dict[str, list[Window]] = {}
    for window in windows.values():
        by_kind.setdefault(window.events, []).append(window)
    place = 0
    for row in rows:
        while place < len(events) and events[place][0] < row[0]:
            event = events[place]
            for window in by_kind.get(event[-1], ()):
                window.add(event)
            place += 1
        yield {name: window.value(row) for name, window in windows.items()}
