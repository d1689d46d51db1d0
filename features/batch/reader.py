"""The batch executor's reader: the state at a midnight beside the day's own events."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from features.arrays.clock import days_since
from features.arrays.key_index import MISSING
from features.batch.counters.counter import Counter
from features.batch.counters.reading import Reading
from features.batch.counters.tiles import NO_DAY_EVENTS, DayEvents
from features.counter_spec import ITEM, USER, CounterSpec, Measure
from features.log.events import UNITS
from features.reader import Key, RowFacts, pair_codes


@dataclass
class BatchReader(RowFacts):
    """Everything known of some rows as of a moment each, all within one UTC day.

    Attributes:
        counters: State of each counter as of the day's midnight, by its name.
        today: What became known on the day of each counter, by its name; absent means nothing.
    """

    counters: Mapping[str, Counter]
    today: Mapping[str, DayEvents]
    _readings: dict[tuple[Key, str, Measure], Reading] = field(default_factory=dict)
    _codes: dict[Key, np.ndarray] = field(default_factory=dict)
    _blank: dict[Key, np.ndarray | None] = field(default_factory=dict)

    def read_ahead(self) -> None:
        """Read all counters; the state may move on afterwards."""
        for counter in self.counters.values():
            spec = counter.spec
            self._reading(spec.key, spec.kind, spec.measure).read_ahead()

    def total(self, key: Key, kind: str, days: int, measure: Measure = "events") -> np.ndarray:
        """Add up a key's events in a window, float64 [n_rows]; NaN where the key has a null part.

        Args:
            key: Parts of the key.
            kind: The kind of event.
            days: The window, in days; one that the counter has.
            measure: What is added up.

        Returns:
            Counts of events, or the sum of what is measured.
        """
        total = self._reading(key, kind, measure).total(days)
        return self._spread(key, total / UNITS if measure in ("log_price", "value") else total)

    def days_since_last(self, key: Key, kind: str) -> np.ndarray:
        """Give the days since a key's last event, float64 [n_rows]; NaN when there is none."""
        reading = self._reading(key, kind, "events")
        return self._spread(key, days_since(reading.time, reading.last()))

    def days_since_first(self, key: Key, kind: str) -> np.ndarray:
        """Give the days since a key's first event, float64 [n_rows]; NaN when there is none."""
        reading = self._reading(key, kind, "events")
        return self._spread(key, days_since(reading.time, reading.first()))

    def _reading(self, key: Key, kind: str, measure: Measure) -> Reading:
        if (reading := self._readings.get((key, kind, measure))) is None:
            name = CounterSpec(key, kind, (), measure).name
            moment = self.moment if key == (USER,) else self.row_moment
            today = self.today.get(name, NO_DAY_EVENTS)
            reading = Reading(self.counters[name], today, self._key(key), moment)
            self._readings[key, kind, measure] = reading
        return reading

    def _key(self, key: Key) -> np.ndarray:
        """Give the code of a key, int64; per request for a user's, per row for others."""
        if (codes := self._codes.get(key)) is None:
            if key == (USER,):
                codes = self.rows.request_user.astype(np.int64)
            elif key[0] == USER:
                user = self.rows.request_user[self.rows.request]
                codes = pair_codes(user, self._item_part(key[1]))
            else:
                codes = self._item_part(key[0]).astype(np.int64)
            self._codes[key] = codes
            blank = codes == MISSING
            self._blank[key] = blank if blank.any() else None
        return codes

    def _item_part(self, name: str) -> np.ndarray:
        return self.rows.item if name == ITEM else self.attribute_code(name)

    def _spread(self, key: Key, values: np.ndarray) -> np.ndarray:
        """Bring values to the rows, and blank those whose key has a null part."""
        blank = self._blank[key]
        values = values.astype(np.float64) if blank is None else np.where(blank, np.nan, values)
        return values[self.rows.request] if key == (USER,) else values
