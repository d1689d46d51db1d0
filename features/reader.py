"""What features read: counters, histories and snapshots as of each row's moment.

The batch executor gives a reader per day (`features/batch_reader.py`), the online executor one per
request (`features/live/reader.py`). Features see no difference, which is why their values agree.
"""

from typing import Protocol

import numpy as np

from features.catalogue import MISSING, Catalogue
from features.compiled import compiled
from features.counters import Measure
from features.history import History
from features.log import Rows
from features.snapshots import Snapshot

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
