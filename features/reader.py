"""What features read: counters, histories and snapshots as of each row's moment.

The batch executor gives a reader per day (`features/batch/reader.py`), the online executor one per
request (`features/online/reader.py`). Features see no difference, which is why their values agree.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np

from features.arrays.clock import NO_TIME, local_hours_and_weekdays
from features.arrays.compiled import compiled
from features.arrays.key_index import MISSING
from features.counter_spec import Measure
from features.log.catalogue import Catalogue
from features.log.history import History
from features.log.requests import Rows
from features.snapshots.snapshot import Snapshot

Key = tuple[str, ...]
_PAIR_BITS = 32


class Reader(Protocol):
    """Everything known of some rows as of a moment each: only events before it are counted."""

    @property
    def rows(self) -> Rows:
        """The rows."""
        ...

    @property
    def row_moment(self) -> np.ndarray:
        """The moment of each row, int64 [n_rows], UTC microseconds."""
        ...

    @property
    def catalogue(self) -> Catalogue:
        """The items."""
        ...

    @property
    def snapshot(self) -> Snapshot:
        """The last snapshot taken at or before the midnight that began the rows' day."""
        ...

    @property
    def history(self) -> History:
        """Last interactions of each request's user before the moment, [n_requests, k]."""
        ...

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
        ...

    def days_since_last(self, key: Key, kind: str) -> np.ndarray:
        """Give the days since a key's last event, float64 [n_rows]; NaN when there is none."""
        ...

    def days_since_first(self, key: Key, kind: str) -> np.ndarray:
        """Give the days since a key's first event, float64 [n_rows]; NaN when there is none."""
        ...

    def of_item(self, values: np.ndarray) -> np.ndarray:
        """Look a number of each item up, float [n_rows]; NaN for unknown items."""
        ...

    def listed_at(self) -> np.ndarray:
        """Give when the items were listed, int64 [n_rows], UTC microseconds; or `NO_TIME`."""
        ...

    def attribute_code(self, name: str) -> np.ndarray:
        """Give the code of an item attribute, int32 [n_rows]; `MISSING` for unknown items."""
        ...

    def meetings(self, how: str, newest: int) -> np.ndarray:
        """Give the co-visitation of each candidate with the user's newest items.

        Args:
            how: How items met: `session` or `user`.
            newest: Items of the history to look at.

        Returns:
            float32 [n_rows, newest], fewer columns when the history is shorter; 0 for pairs that
            never met and beyond the history's end.
        """
        ...

    def local_time(self, timezone: str) -> tuple[np.ndarray, np.ndarray]:
        """Give hour and weekday of the requests in a time zone, two float64 [n_rows]."""
        ...


def attribute_of(catalogue: Catalogue, name: str, item: np.ndarray) -> np.ndarray:
    """Give the attribute's code of some items, int32; `MISSING` for items unknown or without."""
    codes = catalogue.attributes[name]
    if not len(codes):
        return np.full(len(item), MISSING, np.int32)
    return look_up(codes, item, MISSING)


@compiled
def look_up(values: np.ndarray, item: np.ndarray, missing: float) -> np.ndarray:
    """Look a value of each item up, of the values' type [n]; `missing` for unknown items."""
    found = np.empty(len(item), values.dtype)
    for n in range(len(item)):
        found[n] = missing if item[n] < 0 else values[item[n]]
    return found


def pair_codes(user: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Join users and parts of items into keys.

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


@dataclass
class RowFacts:
    """Catalogue, history, snapshot and clock of some rows; the part of a `Reader` both share.

    Attributes:
        rows: The rows.
        moment: int64 [n_requests], UTC microseconds: only events before it are counted.
        catalogue: The items.
        find_history: Gives `history`; asked once, and only where a feature reads it.
        find_snapshot: The same for `snapshot`.
        slate_places: What `Snapshot.places` gives for the rows of a single request; made when
            needed, unless it is set.
    """

    rows: Rows
    moment: np.ndarray
    catalogue: Catalogue
    find_history: Callable[[], History]
    find_snapshot: Callable[[], Snapshot]
    _attributes: dict[str, np.ndarray] = field(default_factory=dict, init=False, repr=False)
    _meetings: dict[str, np.ndarray] = field(default_factory=dict, init=False, repr=False)
    slate_places: np.ndarray | None = field(default=None, init=False, repr=False)
    _local: dict[str, tuple[np.ndarray, np.ndarray]] = field(
        default_factory=dict, init=False, repr=False
    )

    @cached_property
    def history(self) -> History:
        """Last interactions of each request's user before the moment, [n_requests, k]."""
        return self.find_history()

    @cached_property
    def snapshot(self) -> Snapshot:
        """The last snapshot taken at or before the midnight that began the rows' day."""
        return self.find_snapshot()

    def of_item(self, values: np.ndarray) -> np.ndarray:
        """Look a number of each item up, float [n_rows]; NaN for unknown items."""
        if not len(values):
            return np.full(len(self.rows), np.nan)
        return look_up(values, self.rows.item, np.nan)

    def listed_at(self) -> np.ndarray:
        """Give when the items were listed, int64 [n_rows], UTC microseconds; or `NO_TIME`."""
        listed = self.catalogue.listed_at
        if not len(listed):
            return np.full(len(self.rows), NO_TIME)
        return look_up(listed, self.rows.item, NO_TIME)

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
            strength = self._meetings[how] = self._strength(how, width)
        return strength[:, :width]

    def _strength(self, how: str, width: int) -> np.ndarray:
        past = self.history.item[:, :width]
        if len(past) == 1:
            if self.slate_places is None:
                self.slate_places = self.snapshot.places(self.rows.item)
            return self.snapshot.strength(how, past[0], self.rows.item, self.slate_places)
        return self.snapshot.strengths(how, past, self.rows.item, self.rows.offsets)

    def local_time(self, timezone: str) -> tuple[np.ndarray, np.ndarray]:
        """Give hour and weekday of the requests in a time zone, two float64 [n_rows]."""
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
