"""The online executor's reader: one request, from tables that are right as of its moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from features.counter_spec import ITEM, USER, Measure
from features.log.events import UNITS
from features.online.counters.table import CounterTable
from features.reader import Key, RowFacts, pair_codes


@dataclass
class OnlineReader(RowFacts):
    """Everything known of one request's candidates as of its moment.

    A key's totals and times are gathered once for all kinds and windows. The arrays it gives are
    shared: whoever reads them must not change them.

    Attributes:
        tables: The counters, by key.
    """

    tables: Mapping[Key, CounterTable]
    _keys: dict[Key, np.ndarray] = field(default_factory=dict)
    _read: dict[Key, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

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
        totals, _ = self._gathered(key)
        values: np.ndarray = totals[self.tables[key].column[kind, measure, days]]
        return values / UNITS if measure in ("log_price", "value") else values

    def days_since_last(self, key: Key, kind: str) -> np.ndarray:
        """Give the days since a key's last event, float64 [n_rows]; NaN when there is none."""
        _, since = self._gathered(key)
        column: np.ndarray = since[2 * self.tables[key].track[kind, False]]
        return column

    def days_since_first(self, key: Key, kind: str) -> np.ndarray:
        """Give the days since a key's first event, float64 [n_rows]; NaN when there is none."""
        _, since = self._gathered(key)
        column: np.ndarray = since[2 * self.tables[key].track[kind, False] + 1]
        return column

    def _gathered(self, key: Key) -> tuple[np.ndarray, np.ndarray]:
        """Give the totals and the days since the ends of a key's tracks, by column, then row."""
        read = self._read.get(key)
        if read is None:
            codes, moment = self._codes(key), int(self.moment[0])
            read = self._read[key] = self.tables[key].read(codes, moment, len(self.rows))
        return read

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
