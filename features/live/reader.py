"""The online executor's reader: one request, from tables that are right as of its moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from features.catalogue import MISSING
from features.clock import DAY
from features.counters import ITEM, UNITS, USER, Measure
from features.live.counters import NEVER, CounterTable
from features.reader import Key, pair_codes
from features.row_facts import RowFacts


@dataclass
class LiveReader(RowFacts):
    """Everything known of one request's candidates as of its moment.

    A key's totals are gathered once for all kinds and windows. The arrays it gives are shared:
    whoever reads them must not change them.

    Attributes:
        tables: The counters, by key.
    """

    tables: Mapping[Key, CounterTable]
    _keys: dict[Key, np.ndarray] = field(default_factory=dict)
    _places: dict[Key, np.ndarray] = field(default_factory=dict)
    _totals: dict[Key, np.ndarray] = field(default_factory=dict)
    _days: dict[Key, np.ndarray] = field(default_factory=dict)

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
        values: np.ndarray = self._counted(key)[self.tables[key].column[kind, measure, days]]
        return values / UNITS if measure in ("log_price", "value") else values

    def days_since_last(self, key: Key, kind: str) -> np.ndarray:
        """Give the days since a key's last event, float64 [n_rows]; NaN when there is none."""
        column: np.ndarray = self._since(key)[2 * self.tables[key].track[kind, False]]
        return column

    def days_since_first(self, key: Key, kind: str) -> np.ndarray:
        """Give the days since a key's first event, float64 [n_rows]; NaN when there is none."""
        column: np.ndarray = self._since(key)[2 * self.tables[key].track[kind, False] + 1]
        return column

    def _since(self, key: Key) -> np.ndarray:
        """Give the days since the last and the first event of each track, [2 n_tracks, n_rows]."""
        since = self._days.get(key)
        if since is None:
            ends = self._gather(key, self.tables[key].ends)
            since = (self.moment[0] - ends) / DAY
            since[np.abs(ends) >= NEVER] = np.nan
            self._days[key] = since
        return since

    def _counted(self, key: Key) -> np.ndarray:
        """Give the totals of all kinds and windows, float64 [n_columns, n_rows]."""
        totals = self._totals.get(key)
        if totals is None:
            totals = self._gather(key, self.tables[key].totals).astype(np.float64, order="C")
            blank = self._codes(key) == MISSING
            if blank.any():
                totals[:, np.broadcast_to(blank, len(self.rows))] = np.nan
            self._totals[key] = totals
        return totals

    def _gather(self, key: Key, columns: np.ndarray) -> np.ndarray:
        """Look the rows' keys up, [n_columns, n_rows]."""
        rows = self._places.get(key)
        if rows is None:
            rows = self._places[key] = self.tables[key].keys.find(self._codes(key))
        found = columns.take(rows, axis=0).T
        return np.repeat(found, len(self.rows), axis=1) if key == (USER,) else found

    def _codes(self, key: Key) -> np.ndarray:
        """Give the code of a key, int64; one for the user's, one a row for others."""
        codes = self._keys.get(key)
        if codes is None:
            if key == (USER,):
                codes = self.rows.request_user.astype(np.int64)
            else:
                part = self.rows.item if key[-1] == ITEM else self.attribute_code(key[-1])
                codes = pair_codes(self.rows.request_user, part) if len(key) > 1 else part
            codes = self._keys[key] = codes.astype(np.int64, copy=False)
        return codes
