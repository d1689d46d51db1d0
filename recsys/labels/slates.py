"""Labelled slates: requests as arrays, with grades, histories and queries."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from features.log.history import History
from features.log.requests import Rows
from recsys.metrics.weights import request_weights


@dataclass(frozen=True)
class LabelledSlates:
    """Requests with their outcome, in order of time.

    Attributes:
        rows: The requests; items by code.
        text: int32 [n_rows], code of the text of each row's item as of the request; negative for
            an item that is unknown then or has no text.
        grade: uint8 [n_rows].
        weight: float64 [n_rows], showings each row stands for, above 0.
        history: Of each request's user.
        past_text: int32 [n_past], code of the text of each interaction's item as of the request.
        query: int32 [n_requests], place among the query vectors; -1 without a query.
        labels_end: When the last attribution window is over, UTC microseconds: no later event
            decided a grade.
    """

    rows: Rows
    text: np.ndarray
    grade: np.ndarray
    weight: np.ndarray
    history: History
    past_text: np.ndarray
    query: np.ndarray
    labels_end: int

    @cached_property
    def request_weight(self) -> np.ndarray:
        """Showings each request stands for, float64 [n_requests]: the mean over its rows."""
        return request_weights(self.weight, self.rows.offsets)

    @cached_property
    def aggregated(self) -> bool:
        """Whether a row stands for another number of showings than one."""
        return bool((self.weight != 1).any())

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
            self.text[first:last],
            self.grade[first:last],
            self.weight[first:last],
            self.history.take(places),
            self.history.values_of(self.past_text, places),
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
            part,
            self.text[kept],
            self.grade[kept],
            self.weight[kept],
            self.history.take(there),
            self.history.values_of(self.past_text, there),
            self.query[there],
            self.labels_end,
        )

    def texts_before(self, request: int) -> np.ndarray:
        """Code of the text of each interaction before one request, int32 [n]."""
        low, high = self.history.starts[request : request + 2]
        texts: np.ndarray = self.past_text[low:high]
        return texts

    def of_items(self, items: np.ndarray) -> np.ndarray:
        """Tell which rows are of some items, given as bool [n_items]; bool [n_rows]."""
        item = self.rows.item
        return (item >= 0) & items[np.maximum(item, 0)]

    def __len__(self) -> int:
        return len(self.rows.request_time)
