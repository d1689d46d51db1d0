"""The online executor's reader: one request, from counter tables at its moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from typing_extensions import override

from features.counter_spec import Measure
from features.online.counters.table import CounterTable
from features.reader import Key, Reader


@dataclass
class OnlineReader(Reader):
    """Counters and facts of one request's candidates as of its moment.

    A key's totals and times are gathered once for all kinds and windows.

    Attributes:
        tables: The counters, by key.
    """

    tables: Mapping[Key, CounterTable]
    _read: dict[Key, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    @override
    def _total(self, key: Key, kind: str, days: int, measure: Measure) -> np.ndarray:
        totals, _ = self._gathered(key)
        column: np.ndarray = totals[self.tables[key].column[kind, measure, days]]
        return column

    @override
    def days_since_last(self, key: Key, kind: str) -> np.ndarray:
        _, since = self._gathered(key)
        column: np.ndarray = since[2 * self.tables[key].track[kind, False]]
        return column

    @override
    def days_since_first(self, key: Key, kind: str) -> np.ndarray:
        _, since = self._gathered(key)
        column: np.ndarray = since[2 * self.tables[key].track[kind, False] + 1]
        return column

    def _gathered(self, key: Key) -> tuple[np.ndarray, np.ndarray]:
        """Totals and the days since the ends of a key's tracks, by column, then row."""
        read = self._read.get(key)
        if read is None:
            codes, moment = self.key_codes(key), int(self.moment[0])
            read = self._read[key] = self.tables[key].read(codes, moment, len(self.rows))
        return read
