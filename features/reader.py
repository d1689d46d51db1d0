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
from features.arrays.look_up import look_up
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
        slots: Scratch array of -1 for `Snapshot.strength`, where one request is read after the
            other; a new one for each request when absent.
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
    slots: np.ndarray | None = field(default=None, init=False, repr=False)
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
                codes = self.item if key[-1] == ITEM else self.attribute_code(key[-1])
                if len(key) > 1:
                    codes = pair_codes(self._row_users, codes)
            codes = self._codes[key] = codes.astype(np.int64, copy=False)
        return codes

    @property
    def _row_users(self) -> np.ndarray:
        """User of each row, [n_rows]; [1] for a single request."""
        users = self.rows.request_user
        return users if len(users) == 1 else users[self.rows.request]

    @cached_property
    def version(self) -> np.ndarray:
        """Version of each row's item as of its moment, int32 [n_rows]; `MISSING` if unknown."""
        moment = self.moment if len(self.moment) == 1 else self.row_moment
        return self.catalogue.versions(self.rows.item, moment)

    @cached_property
    def item(self) -> np.ndarray:
        """Item of each row, int32 [n_rows]; `MISSING` for one that is unknown as of its moment."""
        return np.where(self.version == MISSING, np.int32(MISSING), self.rows.item)

    def of_item(self, values: np.ndarray) -> np.ndarray:
        """Value of each row's item in a snapshot, float [n_rows]; NaN for unknown items.

        Items that the log named after the snapshot have none either.
        """
        return look_up(values, self.item, np.nan)

    def of_version(self, values: np.ndarray) -> np.ndarray:
        """Value of each row's version of its item, float [n_rows]; NaN for unknown items."""
        return look_up(values, self.version, np.nan)

    def listed_at(self) -> np.ndarray:
        """Listing times of the items, int64 [n_rows], UTC microseconds; or `NO_TIME`."""
        return look_up(self.catalogue.listed_at, self.version, NO_TIME)

    def attribute_code(self, name: str) -> np.ndarray:
        """Codes of an item attribute, int32 [n_rows]; `MISSING` for unknown items."""
        if (codes := self._attributes.get(name)) is None:
            codes = look_up(self.catalogue.attributes[name], self.version, MISSING)
            self._attributes[name] = codes
        return codes

    def past_versions(self, newest: int) -> np.ndarray:
        """Versions of the user's newest items as of the request, int32 [n_requests, newest]."""
        past = self.past_items(newest)
        moment = np.repeat(self.moment, past.shape[1])
        return self.catalogue.versions(past.ravel(), moment).reshape(past.shape)

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
        snapshot = self.snapshot
        past, item = snapshot.within(self.past_items(width)), snapshot.within(self.item)
        if len(past) == 1:
            return snapshot.strength(how, past[0], item, self.slots)
        return snapshot.strengths(how, past, item, self.rows.offsets)

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
