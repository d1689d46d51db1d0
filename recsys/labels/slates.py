"""Labelled slates: requests as arrays, with grades, histories and queries."""

from dataclasses import dataclass

import numpy as np

from features.log.history import History
from features.log.requests import Rows


@dataclass(frozen=True)
class LabelledSlates:
    """Requests with their outcome, in order of time.

    Attributes:
        rows: The requests; items by place in the catalogue.
        grade: uint8 [n_rows].
        history: Of each request's user.
        query: int32 [n_requests], place among the query vectors; -1 without a query.
        labels_end: When the last attribution window is over, UTC microseconds: no later event
            decided a grade.
    """

    rows: Rows
    grade: np.ndarray
    history: History
    query: np.ndarray
    labels_end: int

    def cut(self, low: int, high: int) -> "LabelledSlates":
        """Give a run of requests."""
        rows = self.rows
        first, last = rows.offsets[low], rows.offsets[high]
        part = Rows(
            rows.request_time[low:high],
            rows.request_user[low:high],
            rows.offsets[low : high + 1] - first,
            rows.item[first:last],
        )
        places = np.arange(low, high)
        return LabelledSlates(
            part,
            self.grade[first:last],
            self.history.take(places),
            self.query[places],
            self.labels_end,
        )

    def only(self, kept: np.ndarray) -> "LabelledSlates":
        """Keep some rows, bool [n_rows]; requests without any are left out."""
        sizes = np.bincount(self.rows.request[kept], minlength=len(self))
        there = np.flatnonzero(sizes)
        part = Rows(
            self.rows.request_time[there],
            self.rows.request_user[there],
            np.append(0, np.cumsum(sizes[there])),
            self.rows.item[kept],
        )
        return LabelledSlates(
            part, self.grade[kept], self.history.take(there), self.query[there], self.labels_end
        )

    def of_items(self, items: np.ndarray) -> np.ndarray:
        """Tell which rows are of some items, given as bool [n_items]; bool [n_rows]."""
        item = self.rows.item
        return (item >= 0) & items[np.maximum(item, 0)]

    def __len__(self) -> int:
        return len(self.rows.request_time)
