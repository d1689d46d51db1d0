"""Where a candidate stands among the others of its slate."""

from dataclasses import field
from typing import Literal

import numpy as np
from pydantic.dataclasses import dataclass

from features.kinds.base import CHECKED, Columns, Description, Feature
from features.reader import Reader


@dataclass(frozen=True, config=CHECKED)
class SlateRank(Feature):
    """Place of another column's value in its slate, from the highest."""

    of: str
    kind: Literal["slate_rank"] = field(default="slate_rank", kw_only=True)

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"slate_rank_{self.of}"

    @property
    def after(self) -> str:
        """The column it looks at."""
        return self.of

    def describe(self) -> Description:
        """Say what the column is."""
        return Description(
            f"place of {self.of} in the slate, 1 is the highest, equal ones share theirs",
            "place",
            f"{self.of} is missing",
        )

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        lower, others = standing(done[self.of], reader.rows.request)
        return others - lower + 1


@dataclass(frozen=True, config=CHECKED)
class SlatePercentile(Feature):
    """Share of the slate's other candidates that another column puts lower."""

    of: str
    kind: Literal["slate_percentile"] = field(default="slate_percentile", kw_only=True)

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"slate_percentile_{self.of}"

    @property
    def after(self) -> str:
        """The column it looks at."""
        return self.of

    def describe(self) -> Description:
        """Say what the column is."""
        return Description(
            f"share of the slate's other candidates with a lower {self.of}, half for equal ones",
            "ratio",
            f"{self.of} is missing",
        )

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        return slate_percentile(done[self.of], reader.rows.request)


@dataclass(frozen=True, config=CHECKED)
class SlateDifference(Feature):
    """Another column's value less its mean over the slate."""

    of: str
    kind: Literal["slate_difference"] = field(default="slate_difference", kw_only=True)

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"slate_difference_{self.of}"

    @property
    def after(self) -> str:
        """The column it looks at."""
        return self.of

    def describe(self) -> Description:
        """Say what the column is."""
        return Description(
            f"{self.of} less its mean over the slate's candidates that have one",
            f"that of {self.of}",
            f"{self.of} is missing",
        )

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        values, request = done[self.of], reader.rows.request
        known = ~np.isnan(values)
        count = np.bincount(request, known)
        total = np.bincount(request, np.where(known, values, 0))
        mean = np.divide(total, count, out=np.zeros(len(count)), where=count > 0)
        return values - mean[request]


def slate_percentile(values: np.ndarray, request: np.ndarray) -> np.ndarray:
    """Give the mid-rank of each value within its request, scaled to 0..1.

    Args:
        values: float64 [n_rows].
        request: int64 [n_rows], ascending.

    Returns:
        float64 [n_rows]; 0.5 for an only candidate, NaN where the value is.
    """
    lower, others = standing(values, request)
    share = lower / np.maximum(others, 1)
    return np.where((others < 1) & ~np.isnan(share), 0.5, share)


def standing(values: np.ndarray, request: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count, for each value, the lower ones of its request, half for equal ones.

    Args:
        values: float64 [n_rows].
        request: int64 [n_rows], ascending.

    Returns:
        The lower ones, float64 [n_rows], NaN where the value is; and how many others have a value,
        int64 [n_rows].
    """
    if not len(values):
        return np.zeros(0), np.zeros(0, np.int64)
    if request[0] == request[-1]:
        return _standing_in_one_slate(values)
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
    result = np.empty(len(values))
    result[order] = np.where(known, lower, np.nan)
    # The order keeps requests together, so the slate of a place is that of the row at this place.
    return result, others[slate]


def _standing_in_one_slate(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the same for a single slate, as the server asks for it, in a third of the time."""
    ordered = np.sort(values)
    unknown = np.isnan(values)
    others = len(values) - int(unknown.sum()) - 1
    below, through = ordered.searchsorted(values), ordered.searchsorted(values, "right")
    lower = (below + through - 1) / 2
    lower[unknown] = np.nan
    return lower, np.full(len(values), others)


def _begins(values: np.ndarray) -> np.ndarray:
    """Mark where a run of equal values begins, bool [n]."""
    begins = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=begins[1:])
    return begins
