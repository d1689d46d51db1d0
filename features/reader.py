"""What features read: counters, histories and snapshots as of each row's moment.

The batch executor gives a reader per day, with that day's events beside the state; the online
executor gives one per request. Features see no difference, which is why their values agree.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from features.catalogue import MISSING, Catalogue
from features.clock import NO_TIME, days_since
from features.counters import EMPTY_TILE, PRICE_UNITS, Counter, CounterSpec, Measure, Tile
from features.history import History
from features.local_time import local_hours_and_weekdays
from features.log import Rows
from features.reading import Reading
from features.snapshots import Snapshot

ITEM, USER = "item", "user"
Key = tuple[str, ...]
_PAIR_BITS = 32


@dataclass
class Reader:
    """Everything known of some rows as of a moment each, all within one UTC day.

    Attributes:
        rows: The rows.
        moment: int64 [n_requests], UTC microseconds: only events before it are counted.
        catalogue: The items.
        counters: State of each counter as of the day's midnight, by its name.
        today: The day's own events of each counter, by its name; absent means none.
        history: Last interactions of each request's user before the moment, [n_requests, k].
        snapshot: The last one taken before the day's midnight or at it.
    """

    rows: Rows
    moment: np.ndarray
    catalogue: Catalogue
    counters: Mapping[str, Counter]
    today: Mapping[str, Tile]
    history: History
    snapshot: Snapshot
    _readings: dict[tuple[Key, str, Measure], Reading] = field(default_factory=dict)
    _codes: dict[Key, np.ndarray] = field(default_factory=dict)
    _blank: dict[Key, np.ndarray | None] = field(default_factory=dict)
    _attributes: dict[str, np.ndarray] = field(default_factory=dict)
    _meetings: dict[str, np.ndarray] = field(default_factory=dict)
    _local: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def total(self, key: Key, kind: str, days: int, measure: Measure = "events") -> np.ndarray:
        """Add up a key's events in a window, float64 [n_rows]; NaN where the key has a null part.

        Args:
            key: Parts of the key.
            kind: The kind of event.
            days: The window, in days; one that the counter has.
            measure: What is added up.

        Returns:
            Counts of events, or their sum of log(1 + price).
        """
        total = self._reading(key, kind, measure).total(days)
        return self._spread(key, total / PRICE_UNITS if measure == "log_price" else total)

    def days_since_last(self, key: Key, kind: str) -> np.ndarray:
        """Give the days since a key's last event, float64 [n_rows]; NaN when there is none."""
        reading = self._reading(key, kind, "events")
        return self._spread(key, days_since(reading.time, reading.last()))

    def days_since_first(self, key: Key, kind: str) -> np.ndarray:
        """Give the days since a key's first event, float64 [n_rows]; NaN when there is none."""
        reading = self._reading(key, kind, "events")
        return self._spread(key, days_since(reading.time, reading.first()))

    def of_item(self, values: np.ndarray) -> np.ndarray:
        """Look a number of the catalogue up, float64 [n_rows]; NaN for unknown items."""
        if not len(values):
            return np.full(len(self.rows), np.nan)
        return np.where(self._unknown_item, np.nan, values[self.rows.item])

    def listed_at(self) -> np.ndarray:
        """Give when the items were listed, int64 [n_rows], UTC microseconds; or `NO_TIME`."""
        listed = self.catalogue.listed_at
        if not len(listed):
            return np.full(len(self.rows), NO_TIME)
        return np.where(self._unknown_item, NO_TIME, listed[self.rows.item])

    def attribute_code(self, name: str) -> np.ndarray:
        """Give the code of an item attribute, int32 [n_rows]; `MISSING` for unknown items."""
        if (codes := self._attributes.get(name)) is None:
            codes = attribute_of(self.catalogue, name, self.rows.item)
            self._attributes[name] = codes
        return codes

    def meetings(self, how: str, newest: int) -> np.ndarray:
        """Give the co-visitation of each candidate with the user's newest items.

        Args:
            how: How items met: `session` or `user`.
            newest: Items of the history to look at.

        Returns:
            float32 [n_rows, newest], fewer columns when the history is shorter; 0 for pairs that
            never met and beyond the history's end.
        """
        width = min(newest, self.history.item.shape[1])
        strength = self._meetings.get(how)
        if strength is None or strength.shape[1] < width:
            strength = np.zeros((len(self.rows), width), np.float32)
            offsets = self.rows.offsets
            for past, low, high in zip(self.history.item, offsets[:-1], offsets[1:], strict=True):
                item = self.rows.item[low:high]
                strength[low:high] = self.snapshot.strength(how, past[:width], item)
            self._meetings[how] = strength
        return strength[:, :width]

    def local_time(self, timezone: str) -> tuple[np.ndarray, np.ndarray]:
        """Give hour and weekday of the requests in a time zone, two float64 [n_rows]."""
        if timezone not in self._local:
            hours, weekdays = local_hours_and_weekdays(self.rows.request_time, timezone)
            self._local[timezone] = hours[self.rows.request], weekdays[self.rows.request]
        return self._local[timezone]

    @cached_property
    def _unknown_item(self) -> np.ndarray:
        return self.rows.item < 0

    @cached_property
    def row_moment(self) -> np.ndarray:
        """The moment of each row, int64 [n_rows], UTC microseconds."""
        return self.moment[self.rows.request]

    def _reading(self, key: Key, kind: str, measure: Measure) -> Reading:
        if (reading := self._readings.get((key, kind, measure))) is None:
            name = CounterSpec(key, kind, (), measure).name
            moment = self.moment if key == (USER,) else self.row_moment
            today = self.today.get(name, EMPTY_TILE)
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


def attribute_of(catalogue: Catalogue, name: str, item: np.ndarray) -> np.ndarray:
    """Give the attribute's code of some items, int32; `MISSING` for items unknown or without."""
    codes = catalogue.attributes[name]
    if not len(codes):
        return np.full(len(item), MISSING, np.int32)
    return np.where(item < 0, np.int32(MISSING), codes[item])


def pair_codes(user: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Join a user and a part of an item into one key, int64; `MISSING` where either is null."""
    codes = (user.astype(np.int64) << _PAIR_BITS) | part.astype(np.int64)
    return np.where((user < 0) | (part < 0), MISSING, codes)
