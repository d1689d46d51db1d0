"""Ranking rows: the candidates of each request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from features.log.events import (
    Events,
    impressions_of,
)


@dataclass(frozen=True)
class Rows:
    """Ranking rows of some requests: what features are computed for.

    Attributes:
        request_time: int64 [n_requests], UTC microseconds.
        request_user: int32 [n_requests]; `MISSING` for a guest, `len(users)` or more for a user
            without any event.
        offsets: int64 [n_requests + 1], where the rows of each request begin.
        item: int32 [n_rows]; `MISSING` when the catalogue does not have it.
        given: Caller-supplied numbers by name, float32 [n_rows], NaN where not given.
        context: Words of the request's context by key, [n_requests], None where not given.
    """

    request_time: np.ndarray
    request_user: np.ndarray
    offsets: np.ndarray
    item: np.ndarray
    given: Mapping[str, np.ndarray] = field(default_factory=dict)
    context: Mapping[str, Sequence[str | None]] = field(default_factory=dict)

    @cached_property
    def request(self) -> np.ndarray:
        """The request of each row, int64 [n_rows]."""
        if len(self.request_time) == 1:
            return np.zeros(len(self.item), np.int64)
        return np.repeat(np.arange(len(self.request_time)), np.diff(self.offsets))

    @cached_property
    def time(self) -> np.ndarray:
        """The request's time of each row, int64 [n_rows]."""
        return self.request_time[self.request]

    def __len__(self) -> int:
        return len(self.item)


def impression_events(rows: Rows) -> Events:
    """Rows of requests as events of the kind `impression`, in order of time."""
    return impressions_of(rows.time, rows.request_user[rows.request], rows.item)
