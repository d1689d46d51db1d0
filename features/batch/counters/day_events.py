"""Preparation of a day's events for a counter: keys, values, and the split of late events."""

from dataclasses import dataclass

import numpy as np

from features.arrays.clock import DAY, HOUR, window_end
from features.arrays.key_index import MISSING
from features.arrays.look_up import look_up
from features.batch.counters.counter import Counter
from features.batch.counters.tiles import DayEvents, LateEvents, Tile
from features.counter_spec import EVER, ITEM, USER
from features.log.catalogue import Catalogue
from features.log.events import FIXED_POINT, Events
from features.reader import pair_codes


@dataclass(frozen=True)
class VersionedEvents:
    """Events with the version of each one's item by which they are counted.

    Attributes:
        events: The events.
        version: int32 [n_events], the one known when the event became known, or, of an attributed
            event, when its impression did; `MISSING` for an item that was unknown then.
    """

    events: Events
    version: np.ndarray

    @classmethod
    def of(cls, events: Events, catalogue: Catalogue) -> "VersionedEvents":
        """Find the versions of some events' items."""
        return cls(events, catalogue.versions(events.item, events.versioned + 1))

    def of_kind(self, kind: str) -> "VersionedEvents":
        """Keep the events of one kind."""
        kinds = self.events.kinds
        places = np.flatnonzero(self.events.kind == (kinds.index(kind) if kind in kinds else -1))
        return VersionedEvents(self.events.take(places), self.version[places])


def counter_events(counter: Counter, known: VersionedEvents, catalogue: Catalogue) -> DayEvents:
    """Sort the events of a counter's kind that became known on a day, by key and moment."""
    spec, events = counter.spec, known.events
    codes = _event_codes(spec.key, known, catalogue)
    counted = codes != MISSING
    values = np.ones(len(events), np.int64)
    if spec.measure == "value":
        values = events.value
    elif spec.measure != "events":
        price = look_up(catalogue.log_price, known.version, np.nan)
        counted &= ~np.isnan(price)
        if spec.measure == "log_price":
            values = np.round(np.nan_to_num(price) * FIXED_POINT).astype(np.int64)
    if counted.all():
        return sort_day_events(counter, codes, events.known, events.time, values)
    arrays = (codes, events.known, events.time, values)
    return sort_day_events(counter, *(array[counted] for array in arrays))


def _event_codes(key: tuple[str, ...], known: VersionedEvents, catalogue: Catalogue) -> np.ndarray:
    parts = [_part(name, known, catalogue) for name in key]
    return pair_codes(parts[0], parts[1]) if len(parts) > 1 else parts[0].astype(np.int64)


def _part(name: str, known: VersionedEvents, catalogue: Catalogue) -> np.ndarray:
    if name == USER:
        return known.events.user
    if name == ITEM:
        return known.events.item
    return look_up(catalogue.attributes[name], known.version, MISSING)


def sort_day_events(
    counter: Counter,
    codes: np.ndarray,
    known: np.ndarray,
    time: np.ndarray,
    values: np.ndarray,
) -> DayEvents:
    """Sort the events of a counter that became known on the day after its midnight.

    Args:
        counter: The state; new keys are given rows.
        codes: int64 [n_events], keys.
        known: int64 [n_events], when they became known, UTC microseconds of that day.
        time: int64 [n_events], when they happened.
        values: int64 [n_events], what each adds.

    Returns:
        The events on time as a tile, and the late ones.
    """
    midnight = counter.day * DAY
    delayed = known != time
    if not delayed.any():
        return DayEvents(Tile.of(codes, known - midnight, values, number=counter.number))
    late = delayed & (known // HOUR != time // HOUR)
    rest = ~late
    on_time = (codes[rest], known[rest] - midnight, values[rest], time[rest])
    tile = Tile.of(*on_time, number=counter.number)
    if not late.any():
        return DayEvents(tile)
    codes, known, time, values = codes[late], known[late], time[late], values[late]
    windows = {EVER: Tile.of(codes, known - midnight, values, time)}
    for days in counter.spec.windows:
        if days != EVER:
            windows[days] = _pairs(days, midnight, codes, known, time, values)
    return DayEvents(tile, LateEvents(codes, time, values, windows))


def _pairs(
    days: int,
    midnight: int,
    codes: np.ndarray,
    known: np.ndarray,
    time: np.ndarray,
    values: np.ndarray,
) -> Tile:
    """Late events as signed pairs: added when known, taken off when the window leaves them.

    The last instant that sees an event is one microsecond before `window_end`; questions see what
    lies before them, so the event is taken off at that last instant.
    """
    gone = window_end(time, days) - 1
    seen = gone > known
    leaves = seen & (gone < midnight + DAY)
    return Tile.of(
        np.concatenate([codes[seen], codes[leaves]]),
        np.concatenate([known[seen], gone[leaves]]) - midnight,
        np.concatenate([values[seen], -values[leaves]]),
    )
