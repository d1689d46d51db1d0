"""What is known of some rows without any counter: the same for both executors."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from features.catalogue import Catalogue
from features.clock import NO_TIME
from features.history import History
from features.local_time import local_hours_and_weekdays
from features.log import Rows
from features.reader import attribute_of, look_up
from features.snapshots import Snapshot


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
