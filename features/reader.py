"""What features read: counters, histories and snapshots as of each row's time.

The batch executor gives a reader per day, with that day's events beside the state; the online
executor gives one per request. Features see no difference, which is why their values agree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy import sparse

from features.catalogue import MISSING, Catalogue
from features.clock import days_since
from features.counters import EMPTY_TILE, Counter, CounterSpec, Reading, Tile
from features.history import History
from features.log import Rows
from features.snapshots import Snapshot

ITEM, USER = "item", "user"
_PAIR_BITS = 32
_MEETING_ROWS = 50_000


@dataclass
class Reader:
    """Everything known of some rows as of their times, which lie within one UTC day.

    Attributes:
        rows: The rows.
        catalogue: The items.
        counters: State of each counter as of the day's midnight, by its name.
        today: The day's own events of each counter, by its name; absent means none.
        history: Last interactions of each request's user before the request, [n_requests, k].
        snapshot: The last one taken before the day's midnight or at it.
    """

    rows: Rows
    catalogue: Catalogue
    counters: Mapping[str, Counter]
    today: Mapping[str, Tile]
    history: History
    snapshot: Snapshot
    _readings: dict[str, Reading] = field(default_factory=dict)
    _codes: dict[tuple[str, ...], np.ndarray] = field(default_factory=dict)

    def total(self, key: Sequence[str], kind: str, days: int) -> np.ndarray:
        """Count a key's events in a window, float64 [n_rows]; NaN where the key has a null part."""
        return self._spread(key, self._reading(CounterSpec(tuple(key), kind, ())).total(days))

    def log_price_sum(self, key: Sequence[str], kind: str, days: int) -> np.ndarray:
        """Sum log(1 + price) over a key's events in a window, float64 [n_rows]; NaN as in total."""
        reading = self._reading(CounterSpec(tuple(key), kind, (), sums_price=True))
        return self._spread(key, reading.total(days) / 1e6)

    def days_since_last(self, key: Sequence[str], kind: str) -> np.ndarray:
        """Give the days since a key's last event, float64 [n_rows]; NaN when there is none."""
        reading = self._reading(CounterSpec(tuple(key), kind, ()))
        return self._spread(key, days_since(reading.time, reading.last()))

    def days_since_first(self, key: Sequence[str], kind: str) -> np.ndarray:
        """Give the days since a key's first event, float64 [n_rows]; NaN when there is none."""
        reading = self._reading(CounterSpec(tuple(key), kind, ()))
        return self._spread(key, days_since(reading.time, reading.first()))

    def of_item(self, values: np.ndarray) -> np.ndarray:
        """Look a number of the catalogue up, float64 [n_rows]; NaN for unknown items."""
        if not len(values):
            return np.full(len(self.rows), np.nan)
        item = self.rows.item
        return np.where(item == MISSING, np.nan, values[np.maximum(item, 0)])

    def attribute_code(self, name: str) -> np.ndarray:
        """Give the code of an item attribute, int [n_rows]; `MISSING` for unknown items."""
        codes, item = self.catalogue.attributes[name], self.rows.item
        if not len(codes):
            return np.full(len(item), MISSING)
        return np.where(item == MISSING, MISSING, codes[np.maximum(item, 0)])

    def meetings(self, how: str, newest: int) -> np.ndarray:
        """Give the co-visitation of each candidate with the user's newest items.

        Args:
            how: How items met: `session` or `user`.
            newest: Items of the history to look at.

        Returns:
            float32 [n_rows, newest]; 0 for pairs that never met and beyond the history's end.
        """
        together = self.snapshot.together[how]
        past = self.history.item[:, :newest]
        strength = np.zeros((len(self.rows), past.shape[1]), np.float32)
        for low in range(0, len(self.rows), _MEETING_ROWS):
            part = slice(low, low + _MEETING_ROWS)
            strength[part] = _look_up(together, past[self.rows.request[part]], self.rows.item[part])
        return strength

    @cached_property
    def history_length(self) -> np.ndarray:
        """Number of interactions in each row's history, float64 [n_rows]."""
        length = (self.history.item != MISSING).sum(axis=1)
        return length[self.rows.request].astype(np.float64)

    def _reading(self, spec: CounterSpec) -> Reading:
        if (reading := self._readings.get(spec.name)) is None:
            codes = self._key(spec.key)
            time = self.rows.request_time if spec.key == (USER,) else self.rows.time
            today = self.today.get(spec.name, EMPTY_TILE)
            reading = Reading(self.counters[spec.name], today, codes, time)
            self._readings[spec.name] = reading
        return reading

    def _key(self, key: tuple[str, ...]) -> np.ndarray:
        """Give the code of a key, int64; per request for a user's, per row for others."""
        if key not in self._codes:
            if key == (USER,):
                codes = self.rows.request_user.astype(np.int64)
            elif key[0] == USER:
                user = self.rows.request_user[self.rows.request]
                codes = pair_codes(user, self._item_part(key[1]))
            else:
                codes = self._item_part(key[0]).astype(np.int64)
            self._codes[key] = codes
        return self._codes[key]

    def _item_part(self, name: str) -> np.ndarray:
        return self.rows.item if name == ITEM else self.attribute_code(name)

    def _spread(self, key: Sequence[str], values: np.ndarray) -> np.ndarray:
        """Bring values to the rows, and blank those whose key has a null part."""
        blank = self._codes[tuple(key)] == MISSING
        values = np.where(blank, np.nan, values)
        return values[self.rows.request] if tuple(key) == (USER,) else values


def pair_codes(user: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Join a user and a part of an item into one key, int64; `MISSING` where either is null."""
    codes = (user.astype(np.int64) << _PAIR_BITS) | part.astype(np.int64)
    return np.where((user < 0) | (part < 0), MISSING, codes)


def _look_up(together: sparse.csr_array, past: np.ndarray, item: np.ndarray) -> np.ndarray:
    """Give the strength of each pair of a past item and a candidate, float32 [n, k]."""
    known = (past >= 0) & (item >= 0)[:, None]
    rows, columns = past[known], np.broadcast_to(item[:, None], past.shape)[known]
    strength = np.zeros(past.shape, np.float32)
    if len(rows):
        strength[known] = np.asarray(together[rows, columns]).ravel()
    return strength
