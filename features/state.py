"""All that features know as of a midnight, and how a day carries it to the next."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from features.batch_reader import BatchReader
from features.catalogue import MISSING, Catalogue
from features.clock import DAY, HOUR, window_end
from features.counters import EVER, ITEM, UNITS, USER, Counter
from features.feature_set import FeatureSet
from features.history import History, Recent, last_interactions
from features.log import IMPRESSION, Events, Rows, without_sessions
from features.reader import attribute_of, pair_codes
from features.settings import FeatureSettings
from features.snapshots import Snapshot
from features.tiles import Arrivals, LateEvents, Tile


@dataclass
class FeatureState:
    """Counters, histories and the snapshot as of a midnight UTC.

    Attributes:
        day: Day number whose midnight this is.
        counters: By the counter's name.
        recent: Last interactions of every user.
        find_snapshot: Gives `snapshot`; asked once, and only where it is read.
    """

    day: int
    counters: dict[str, Counter]
    recent: Recent
    find_snapshot: Callable[[], Snapshot]

    @cached_property
    def snapshot(self) -> Snapshot:
        """The last one taken at or before the midnight that the state began with."""
        return self.find_snapshot()

    @classmethod
    def begin(
        cls,
        features: FeatureSet,
        kinds: tuple[str, ...],
        settings: FeatureSettings,
        first: Snapshot,
    ) -> "FeatureState":
        """Give the state before the first event, at the day of the snapshot."""
        counters = {spec.name: Counter(spec, first.day) for spec in features.counters}
        recent = Recent(settings.history, settings.forget_days, Events.none(kinds))
        return cls(first.day, counters, recent, lambda: first)

    def arrivals(self, catalogue: Catalogue, events: Events, shown: Events) -> dict[str, Arrivals]:
        """Sort what became known on the day by counter.

        Args:
            catalogue: The items.
            events: The interactions that became known on the day.
            shown: The day's impressions, as events.

        Returns:
            What became known of each counter, by its name.
        """
        kinds = {kind: events.of_kind(kind) for kind in events.kinds}
        kinds[IMPRESSION] = shown
        return {
            name: _arrivals(counter, kinds[counter.spec.kind], catalogue)
            for name, counter in self.counters.items()
        }

    def reader(
        self,
        rows: Rows,
        catalogue: Catalogue,
        today: Mapping[str, Arrivals],
        day_events: Events,
        snapshot: Callable[[], Snapshot],
    ) -> BatchReader:
        """Give what the features of some rows of this day read.

        Args:
            rows: The rows; their times lie on this day.
            catalogue: The items.
            today: What became known on the day, from `arrivals`.
            day_events: The interactions among it, for the histories.
            snapshot: Gives the day's snapshot, where a feature reads it.

        Returns:
            The reader; its counters have to be read before the state moves on.
        """
        recent = self.recent
        past = recent.events

        def history() -> History:
            interactions = without_sessions(day_events)
            known = Events.join([past, interactions]) if len(interactions) else past
            return last_interactions(
                known, rows.request_user, rows.request_time, recent.k, recent.forget_days
            )

        return BatchReader(
            rows, rows.request_time, catalogue, history, snapshot, self.counters, today
        )

    def advance(self, today: Mapping[str, Arrivals], day_events: Events) -> None:
        """Fold in what became known on the day, and go on to the next midnight."""
        for name, counter in self.counters.items():
            counter.advance(today[name], self.recent.forget_days)
        self.day += 1
        self.recent.advance(without_sessions(day_events), self.day * DAY)


def _arrivals(counter: Counter, events: Events, catalogue: Catalogue) -> Arrivals:
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
            values = np.round(np.nan_to_num(price) * UNITS).astype(np.int64)
    if known.all():
        return sort_arrivals(counter, codes, events.known, events.time, values)
    return sort_arrivals(
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


def sort_arrivals(
    counter: Counter,
    codes: np.ndarray,
    known: np.ndarray,
    time: np.ndarray,
    values: np.ndarray,
) -> Arrivals:
    """Sort what became known of a counter on the day after its midnight.

    Args:
        counter: The state, which gives rows to new keys.
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
        return Arrivals(Tile.of(codes, known - midnight, values, number=counter.number))
    late = delayed & (known // HOUR != time // HOUR)
    rest = ~late
    on_time = (codes[rest], known[rest] - midnight, values[rest], time[rest])
    tile = Tile.of(*on_time, number=counter.number)
    if not late.any():
        return Arrivals(tile)
    codes, known, time, values = codes[late], known[late], time[late], values[late]
    windows = {EVER: Tile.of(codes, known - midnight, values, time)}
    for days in counter.spec.windows:
        if days != EVER:
            windows[days] = _pairs(days, midnight, codes, known, time, values)
    return Arrivals(tile, LateEvents(codes, time, values, windows))


def _pairs(
    days: int,
    midnight: int,
    codes: np.ndarray,
    known: np.ndarray,
    time: np.ndarray,
    values: np.ndarray,
) -> Tile:
    """Give late events as the window sees them: come when known, gone when the window leaves them.

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
