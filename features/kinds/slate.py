"""Where a candidate stands among the others of its slate."""

from dataclasses import dataclass

import numpy as np

from features.counters import CounterSpec
from features.kinds.base import Columns
from features.reader import Reader


@dataclass(frozen=True)
class SlateRank:
    """Where another column's value stands within the slate."""

    of: str

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"slate_rank_{self.of}"

    @property
    def meaning(self) -> str:
        """One sentence on the column."""
        return (
            f"share of the slate's other candidates with a lower {self.of}, half for equal ones; "
            "0..1, missing where the value is"
        )

    def needs(self) -> list[CounterSpec]:
        """The counters it reads: none beyond its column's."""
        return []

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        return slate_rank(done[self.of], reader.rows.request)


def slate_rank(values: np.ndarray, request: np.ndarray) -> np.ndarray:
    """Give the mid-rank of each value within its request, scaled to 0..1.

    Args:
        values: float64 [n_rows].
        request: int64 [n_rows], ascending.

    Returns:
        float64 [n_rows]; 0.5 for an only candidate, NaN where the value is.
    """
    if not len(values):
        return np.zeros(0)
    if request[0] == request[-1]:
        return _rank_of_one_slate(values)
    order = np.lexsort((values, request))
    ordered, requests = values[order], request[order]
    new_request = _begins(requests)
    new_value = _begins(ordered) | new_request
    first = np.flatnonzero(new_value)
    middle = (first + np.append(first[1:], len(values)) - 1) / 2
    start = np.flatnonzero(new_request)
    known = ~np.isnan(ordered)
    others = np.add.reduceat(known, start, dtype=np.int64) - 1
    slate = np.cumsum(new_request) - 1
    lower = middle[np.cumsum(new_value) - 1] - start[slate]
    share = np.where(others > 0, 0, 0.5)[slate] + lower / np.maximum(others, 1)[slate]
    result = np.empty(len(values))
    result[order] = np.where(known, share, np.nan)
    return result


def _rank_of_one_slate(values: np.ndarray) -> np.ndarray:
    """Give the same for a single slate, as the server asks for it, in a third of the time."""
    ordered = np.sort(values)
    unknown = np.isnan(values)
    others = len(values) - int(unknown.sum()) - 1
    if others < 1:
        return np.where(unknown, np.nan, 0.5)
    below, through = ordered.searchsorted(values), ordered.searchsorted(values, "right")
    share = (below + through - 1) / 2 / others
    share[unknown] = np.nan
    return share


def _begins(values: np.ndarray) -> np.ndarray:
    """Mark where a run of equal values begins, bool [n]."""
    begins = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=begins[1:])
    return begins
