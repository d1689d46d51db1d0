"""The batch executor's reader: the state at a midnight and the day's events before each row."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from typing_extensions import override

from features.arrays.clock import days_since
from features.arrays.key_index import MISSING
from features.batch.counters.counter import Counter
from features.batch.counters.reading import Reading
from features.batch.counters.tiles import NO_DAY_EVENTS, DayEvents
from features.counter_spec import USER, CounterSpec, Measure
from features.reader import Key, Reader


@dataclass
class BatchReader(Reader):
    """Counters and facts of rows of one UTC day, each as of its request's moment.

    Attributes:
        counters: State of each counter as of the day's midnight, by its name.
        today: The day's events of each counter, by its name; absent where it has none.
    """

    counters: Mapping[str, Counter]
    today: Mapping[str, DayEvents]
    _readings: dict[tuple[Key, str, Measure], Reading] = field(default_factory=dict)
    _missing: dict[Key, np.ndarray | None] = field(default_factory=dict)

    def read_ahead(self) -> None:
        """Read all counters, after which the state may advance."""
        for counter in self.counters.values():
            spec = counter.spec
            self._reading(spec.key, spec.kind, spec.measure).read_ahead()

    @override
    def _total(self, key: Key, kind: str, days: int, measure: Measure) -> np.ndarray:
        return self._spread(key, self._reading(key, kind, measure).total(days))

    @override
    def days_since_last(self, key: Key, kind: str) -> np.ndarray:
        reading = self._reading(key, kind, "events")
        return self._spread(key, days_since(reading.time, reading.last()))

    @override
    def days_since_first(self, key: Key, kind: str) -> np.ndarray:
        reading = self._reading(key, kind, "events")
        return self._spread(key, days_since(reading.time, reading.first()))

    def _reading(self, key: Key, kind: str, measure: Measure) -> Reading:
        if (reading := self._readings.get((key, kind, measure))) is None:
            name = CounterSpec(key, kind, (), measure).name
            moment = self.moment if key == (USER,) else self.row_moment
            today = self.today.get(name, NO_DAY_EVENTS)
            reading = Reading(self.counters[name], today, self.key_codes(key), moment)
            self._readings[key, kind, measure] = reading
        return reading

    def _spread(self, key: Key, values: np.ndarray) -> np.ndarray:
        """Repeat values for the rows; NaN where a part of the key is missing."""
        if key not in self._missing:
            missing = self.key_codes(key) == MISSING
            self._missing[key] = missing if missing.any() else None
        gaps = self._missing[key]
        values = values.astype(np.float64) if gaps is None else np.where(gaps, np.nan, values)
        return values[self.rows.request] if key == (USER,) else values
