"""Windowed counters as a plain loop over events and rows computes them, one row after the other."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from feast_tables import Count

Row = tuple[int, int | None, int]
"""Of a request's candidate: time in UTC microseconds, user (None for a guest), item."""

Event = tuple[int, int | None, int, str]
"""Time in UTC microseconds, user (None for a guest), item, kind."""


class Window:
    """One counter of all keys: per key the times of the events in its window.

    Args:
        count: Which counter.
    """

    def __init__(self, count: Count) -> None:
        self.events = count.events
        self._of_user = "user" in count.key
        self._of_item = "item" in count.key
        self._start = count.start
        self._times: dict[tuple[int | None, int | None], deque[int]] = {}

    def _key(self, user: int | None, item: int) -> tuple[int | None, int | None]:
        return (user if self._of_user else None, item if self._of_item else None)

    def add(self, time: int, user: int | None, item: int) -> None:
        """Take an event in; those of guests count for no user."""
        if not (self._of_user and user is None):
            self._times.setdefault(self._key(user, item), deque()).append(time)

    def value(self, time: int, user: int | None, item: int) -> int:
        """Count the events of a row's key that its window holds; 0 for a guest."""
        times = self._times.get(self._key(user, item))
        if times is None or (self._of_user and user is None):
            return 0
        start = self._start(time)
        while times and times[0] < start:
            times.popleft()
        return len(times)


class Scan(Window):
    """The same counter without a memory of its window: each row looks through its key's past."""

    def value(self, time: int, user: int | None, item: int) -> int:
        """Count the events of a row's key that lie in the window; 0 for a guest."""
        if self._of_user and user is None:
            return 0
        start = self._start(time)
        return sum(1 for when in self._times.get(self._key(user, item), ()) if when >= start)


def plain_rows(
    rows: Iterable[Row],
    events: Sequence[Event],
    counts: Sequence[Count],
    counter: type[Window] = Window,
) -> Iterator[dict[str, int]]:
    """Compute the counters of each row from the events strictly before it.

    Args:
        rows: In order of time.
        events: In order of time.
        counts: The counters.
        counter: How each of them is counted.

    Yields:
        Per row, its counters by name.
    """
    windows = {count.name: counter(count) for count in counts}
    by_kind: dict[str, list[Window]] = {}
    for window in windows.values():
        by_kind.setdefault(window.events, []).append(window)
    place = 0
    for time, user, item in rows:
        while place < len(events) and events[place][0] < time:
            when, who, what, kind = events[place]
            for window in by_kind.get(kind, ()):
                window.add(when, who, what)
            place += 1
        yield {name: window.value(time, user, item) for name, window in windows.items()}
