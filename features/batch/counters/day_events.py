"""Preparation of a day's events for a counter: keys, values, and the split of late events."""

import numpy as np

from features.arrays.clock import DAY, HOUR, window_end
from features.arrays.key_index import MISSING
from features.batch.counters.counter import Counter
from features.batch.counters.tiles import DayEvents, LateEvents, Tile
from features.counter_spec import EVER, ITEM, USER
from features.log.catalogue import Catalogue
from features.log.events import FIXED_POINT, Events
from features.reader import attribute_of, pair_codes


def counter_events(counter: Counter, events: Events, catalogue: Catalogue) -> DayEvents:
    """Sort the events of a counter's kind that became known on a day, by key and moment."""
    spec = counter.spec
    codes = _event_codes(spec.key, events, catalogue)
    known = codes != MISSING
    values = np.ones(len(events), np.int64)
    if spec.measure == "value":
        values = events.value
    elif spec.measure != "events":
        price = np.append(catalogue.log_price, np.nan)[events.item]
        known &= ~np.isnan(price)
        if spec.measure == "log_price":
            values = np.round(np.nan_to_num(price) * FIXED_POINT).astype(np.int64)
    if known.all():
        return sort_day_events(counter, codes, events.known, events.time, values)
    return sort_day_events(
        counter, codes[known], events.known[known], events.time[known], values[known]
    )


def _event_codes(key: tuple[str, ...], events: Events, catalogue: Catalogue) -> np.ndarray:
    parts = [_part(name, events, catalogue) for name in key]
    return pair_codes(parts[0], parts[1]) if len(parts) > 1 else parts[0].astype(np.int64)


def _part(name: str, events: Events, catalogue: Catalogue) -> np.ndarray:
    if name == USER:
        return events.user
    if name == ITEM:
        return events.item
    return attribute_of(catalogue, name, events.item)


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
