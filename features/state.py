"""All that features know as of a midnight, and how a day carries it to the next."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from features.batch_reader import BatchReader
from features.catalogue import MISSING, Catalogue
from features.clock import DAY
from features.counters import ITEM, PRICE_UNITS, USER, Counter, CounterSpec, Tile
from features.feature_set import FeatureSet
from features.history import Recent, last_interactions
from features.log import IMPRESSION, Events, Rows, without_sessions
from features.reader import attribute_of, pair_codes
from features.snapshots import Snapshot


@dataclass
class FeatureState:
    """Counters, histories and the snapshot as of a midnight UTC.

    Live events will enter here: into the counters' tiles of the day and into `recent`.

    Attributes:
        day: Day number whose midnight this is.
        counters: By the counter's name.
        recent: Last interactions of every user.
        snapshot: The last one taken.
    """

    day: int
    counters: dict[str, Counter]
    recent: Recent
    snapshot: Snapshot

    @classmethod
    def begin(
        cls, features: FeatureSet, kinds: tuple[str, ...], history: int, first: Snapshot
    ) -> "FeatureState":
        """Give the state before the first event, at the day of the snapshot."""
        counters = {spec.name: Counter(spec, first.day) for spec in features.counters}
        return cls(first.day, counters, Recent(history, Events.none(kinds)), first)

    def tiles(self, catalogue: Catalogue, events: Events, shown: Events) -> dict[str, Tile]:
        """Sort a day's events into the tiles of the counters.

        Args:
            catalogue: The items.
            events: The day's interactions.
            shown: The day's impressions, as events.

        Returns:
            Tiles by the counter's name.
        """
        kinds = {kind: events.of_kind(kind) for kind in events.kinds}
        kinds[IMPRESSION] = shown
        return {
            name: _tile(counter.spec, kinds[counter.spec.kind], catalogue, self.day)
            for name, counter in self.counters.items()
        }

    def reader(
        self, rows: Rows, catalogue: Catalogue, today: Mapping[str, Tile], day_events: Events
    ) -> BatchReader:
        """Give what the features of some rows of this day read.

        Args:
            rows: The rows; their times lie on this day.
            catalogue: The items.
            today: The day's own events, as tiles.
            day_events: The day's own interactions, for the histories.

        Returns:
            The reader.
        """
        interactions = without_sessions(day_events)
        both = self.recent.with_day(interactions) if len(interactions) else self.recent.events
        history = last_interactions(both, rows.request_user, rows.request_time, self.recent.k)
        return BatchReader(
            rows, rows.request_time, catalogue, history, self.snapshot, self.counters, today
        )

    def advance(self, today: Mapping[str, Tile], day_events: Events) -> None:
        """Fold a day in and go on to the next midnight."""
        for name, counter in self.counters.items():
            counter.advance(today[name])
        self.recent.advance(without_sessions(day_events))
        self.day += 1


def _tile(spec: CounterSpec, events: Events, catalogue: Catalogue, day: int) -> Tile:
    codes = _event_codes(spec.key, events, catalogue)
    known = codes != MISSING
    if spec.measure == "events":
        values = np.ones(len(events), np.int64)
    else:
        price = np.append(catalogue.log_price, np.nan)[events.item]
        known &= ~np.isnan(price)
        price_units = np.round(np.nan_to_num(price) * PRICE_UNITS).astype(np.int64)
        values = price_units if spec.measure == "log_price" else np.ones(len(events), np.int64)
    return Tile.of(codes[known], events.time[known] - day * DAY, values[known])


def _event_codes(key: tuple[str, ...], events: Events, catalogue: Catalogue) -> np.ndarray:
    parts = [_part(name, events, catalogue) for name in key]
    return pair_codes(parts[0], parts[1]) if len(parts) > 1 else parts[0].astype(np.int64)


def _part(name: str, events: Events, catalogue: Catalogue) -> np.ndarray:
    if name == USER:
        return events.user
    if name == ITEM:
        return events.item
    return attribute_of(catalogue, name, events.item)
