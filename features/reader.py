"""Point-in-time reads of counters, histories and snapshots: the only input of a feature.

The batch executor builds a reader per day (`features/batch/reader.py`), the online executor one per
request (`features/online/reader.py`). Both have the same methods, so that one implementation of a
feature serves training and serving.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from features.arrays.clock import NO_TIME, local_hours_and_weekdays
from features.arrays.compiled import compiled
from features.arrays.key_index import MISSING
from features.counter_spec import ITEM, USER, Measure
from features.log.catalogue import Catalogue
from features.log.events import FIXED_POINT
from features.log.history import History
from features.log.requests import Rows
from features.snapshots.snapshot import Snapshot

Key = tuple[str, ...]
_PAIR_BITS = 32


@dataclass
class Reader(ABC):
    """Counters, histories and item facts of some rows, each as of the row's moment.

    Only events before the moment are counted. Arrays may be shared between calls: do not write to
    them.

    Attributes:
        rows: The rows.
        moment: int64 [n_requests], UTC microseconds: only events before it are counted.
        catalogue: The items.
        find_history: Computes `history`; called once, and only where a feature reads it.
        find_snapshot: Computes `snapshot`, in the same way.
        slate_places: Result of `Snapshot.places` for the rows of a single request; computed when
            first read, unless it is set.
    """

    rows: Rows
    moment: np.ndarray
    catalogue: Catalogue
    find_history: Callable[[], History]
    find_snapshot: Callable[[], Snapshot]
    _codes: dict[Key, np.ndarray] = field(default_factory=dict, init=False, repr=False)
    _attributes: dict[str, np.ndarray] = field(default_factory=dict, init=False, repr=False)
    _past: np.ndarray | None = field(default=None, init=False, repr=False)
    _meetings: dict[str, np.ndarray] = field(default_factory=dict, init=False, repr=False)
    slate_places: np.ndarray | None = field(default=None, init=False, repr=False)
    _local: dict[str, tuple[np.ndarray, np.ndarray]] = field(
        default_factory=dict, init=False, repr=False
    )

    @cached_property
    def history(self) -> History:
        """Last interactions of each request's user before the moment."""
        return self.find_history()

    @cached_property
    def snapshot(self) -> Snapshot:
        """The last snapshot taken at or before the midnight that began the rows' day."""
        return self.find_snapshot()

    def total(self, key: Key, kind: str, days: int, measure: Measure = "events") -> np.ndarray:
        """Sum a key's events in a window, float64 [n_rows]; NaN where a part of the key is missing.

        Args:
            key: Parts of the key.
            kind: The kind of event.
            days: Length of the window, in days; one that the counter has.
            measure: The quantity summed.

        Returns:
            Counts of events, or the sum of the measure.
        """
        total = self._total(key, kind, days, measure)
        return total / FIXED_POINT if measure in ("log_price", "value") else total

    @abstractmethod
    def _total(self, key: Key, kind: str, days: int, measure: Measure) -> np.ndarray:
        """Sum as `total` does; log prices and values in `FIXED_POINT`."""

    @abstractmethod
    def days_since_last(self, key: Key, kind: str) -> np.ndarray:
        """Days since a key's last event, float64 [n_rows]; NaN when there is none."""

    @abstractmethod
    def days_since_first(self, key: Key, kind: str) -> np.ndarray:
        """Days since a key's first event, float64 [n_rows]; NaN when there is none."""

    def key_codes(self, key: Key) -> np.ndarray:
        """Codes of a key, int64; [n_requests] for the user's, [n_rows] for others."""
        if (codes := self._codes.get(key)) is None:
            if key == (USER,):
                codes = self.rows.request_user
            else:
                codes = self.rows.item if key[-1] == ITEM else self.attribute_code(key[-1])
                if len(key) > 1:
                    codes = pair_codes(self._row_users, codes)
            codes = self._codes[key] = codes.astype(np.int64, copy=False)
        return codes

    @property
    def _row_users(self) -> np.ndarray:
        """User of each row, [n_rows]; [1] for a single request."""
        users = self.rows.request_user
        return users if len(users) == 1 else users[self.rows.request]

    def of_item(self, values: np.ndarray) -> np.ndarray:
        """Value of each row's item, float [n_rows]; NaN for unknown items."""
        if not len(values):
            return np.full(len(self.rows), np.nan)
        return look_up(values, self.rows.item, np.nan)

    def listed_at(self) -> np.ndarray:
        """Listing times of the items, int64 [n_rows], UTC microseconds; or `NO_TIME`."""
        listed = self.catalogue.listed_at
        if not len(listed):
            return np.full(len(self.rows), NO_TIME)
        return look_up(listed, self.rows.item, NO_TIME)

    def attribute_code(self, name: str) -> np.ndarray:
        """Codes of an item attribute, int32 [n_rows]; `MISSING` for unknown items."""
        if (codes := self._attributes.get(name)) is None:
            codes = attribute_of(self.catalogue, name, self.rows.item)
            self._attributes[name] = codes
        return codes

    def past_items(self, newest: int) -> np.ndarray:
        """Items of the user's newest interactions.

        Args:
            newest: Interactions to look at.

        Returns:
            int32 [n_requests, newest]; `MISSING` beyond the history's end.
        """
        if self._past is None or self._past.shape[1] < newest:
            self._past = self.history.padded(self.history.item, newest)
        return self._past[:, :newest]

    def meetings(self, how: str, newest: int) -> np.ndarray:
        """Co-visitation strength of each candidate with the user's newest items.

        Args:
            how: Within what items are co-visited: `session` or `user`.
            newest: Items of the history to look at.

        Returns:
            float32 [n_rows, newest], 0 for pairs that were never co-visited and beyond the
            history's end.
        """
        strength = self._meetings.get(how)
        if strength is None or strength.shape[1] < newest:
            strength = self._meetings[how] = self._strength(how, newest)
        return strength[:, :newest]

    def _strength(self, how: str, width: int) -> np.ndarray:
        past = self.past_items(width)
        if len(past) == 1:
            if self.slate_places is None:
                self.slate_places = self.snapshot.places(self.rows.item)
            return self.snapshot.strength(how, past[0], self.rows.item, self.slate_places)
        return self.snapshot.strengths(how, past, self.rows.item, self.rows.offsets)

    def local_time(self, timezone: str) -> tuple[np.ndarray, np.ndarray]:
        """Hour and weekday of the requests in a time zone, two float64 [n_rows]."""
        if timezone not in self._local:
            hours, weekdays = local_hours_and_weekdays(self.rows.request_time, timezone)
            self._local[timezone] = self._to_rows(hours), self._to_rows(weekdays)
        return self._local[timezone]

    @cached_property
    def row_moment(self) -> np.ndarray:
        """The moment of each row, int64 [n_rows], UTC microseconds."""
        return self._to_rows(self.moment)

    def _to_rows(self, values: np.ndarray) -> np.ndarray:
        """Repeat a value of each request for its rows, [n_rows]."""
        if len(values) == 1:
            return np.full(len(self.rows), values[0])
        return values[self.rows.request]


def attribute_of(catalogue: Catalogue, name: str, item: np.ndarray) -> np.ndarray:
    """Codes of an attribute of some items, int32; `MISSING` for unknown items and without one."""
    codes = catalogue.attributes[name]
    if not len(codes):
        return np.full(len(item), MISSING, np.int32)
    return look_up(codes, item, MISSING)


@compiled
def look_up(values: np.ndarray, item: np.ndarray, missing: float) -> np.ndarray:
    """Values of some items, of the values' type [n]; `missing` for unknown items."""
    found = np.empty(len(item), values.dtype)
    for n in range(len(item)):
        found[n] = missing if item[n] < 0 else values[item[n]]
    return found


def pair_codes(user: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Keys of pairs: a user, and an item or an attribute's value.

    Args:
        user: int [n], or [1] for one user that all rows share; negative for a guest.
        part: int [n], the item or an attribute's code; negative where it is null.

    Returns:
        int64 [n], `MISSING` where either is null.
    """
    return _joined(user, part)


@compiled
def _joined(user: np.ndarray, part: np.ndarray) -> np.ndarray:
    codes = np.empty(len(part), np.int64)
    for place in range(len(part)):
        owner = np.int64(user[place if len(user) == len(part) else 0])
        is_null = owner < 0 or part[place] < 0
        codes[place] = MISSING if is_null else (owner << _PAIR_BITS) | np.int64(part[place])
    return codes
