"""Slate-relative features: a candidate's rank, percentile or difference within its slate."""

from dataclasses import field
from typing import Literal

import numpy as np
from pydantic.dataclasses import dataclass

from features.arrays.compiled import compiled
from features.kinds.base import CHECKED, Columns, Description, Feature
from features.reader import Reader

_FEW = 256
"""Up to so many candidates comparing each with each is quicker than to sort them."""


@dataclass(frozen=True, config=CHECKED)
class SlateRank(Feature):
    """Place of another column's value in its slate, from the highest."""

    of: str
    kind: Literal["slate_rank"] = field(default="slate_rank", kw_only=True)

    @property
    def name(self) -> str:
        return f"slate_rank_{self.of}"

    @property
    def after(self) -> str:
        return self.of

    def describe(self) -> Description:
        return Description(
            f"place of {self.of} in the slate, 1 is the highest, equal ones share theirs",
            "place",
            f"{self.of} is missing",
        )

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        lower, others = standing(done[self.of], reader.rows.request)
        return others - lower + 1


@dataclass(frozen=True, config=CHECKED)
class SlatePercentile(Feature):
    """Share of the slate's other candidates that another column puts lower."""

    of: str
    kind: Literal["slate_percentile"] = field(default="slate_percentile", kw_only=True)

    @property
    def name(self) -> str:
        return f"slate_percentile_{self.of}"

    @property
    def after(self) -> str:
        return self.of

    def describe(self) -> Description:
        return Description(
            f"share of the slate's other candidates with a lower {self.of}, half for equal ones",
            "ratio",
            f"{self.of} is missing",
        )

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        return slate_percentile(done[self.of], reader.rows.request)


@dataclass(frozen=True, config=CHECKED)
class SlateDifference(Feature):
    """Another column's value less its mean over the slate."""

    of: str
    kind: Literal["slate_difference"] = field(default="slate_difference", kw_only=True)

    @property
    def name(self) -> str:
        return f"slate_difference_{self.of}"

    @property
    def after(self) -> str:
        return self.of

    def describe(self) -> Description:
        return Description(
            f"{self.of} less its mean over the slate's candidates that have one",
            f"that of {self.of}",
            f"{self.of} is missing",
        )

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        values, request = done[self.of], reader.rows.request
        known = ~np.isnan(values)
        count = np.bincount(request, known)
        total = np.bincount(request, np.where(known, values, 0))
        mean = np.divide(total, count, out=np.zeros(len(count)), where=count > 0)
        return values - mean[request]


def slate_percentile(values: np.ndarray, request: np.ndarray) -> np.ndarray:
    """Mid-rank of each value within its request, scaled to 0..1.

    Args:
        values: float64 [n_rows].
        request: int64 [n_rows], ascending.

    Returns:
        float64 [n_rows]; 0.5 for an only candidate, NaN where the value is.
    """
    return _share_of_others(*standing(values, request))


@compiled
def _share_of_others(lower: np.ndarray, others: np.ndarray) -> np.ndarray:
    share = np.empty(len(lower))
    for row in range(len(lower)):
        is_alone = others[row] < 1 and not np.isnan(lower[row])
        share[row] = 0.5 if is_alone else lower[row] / max(others[row], 1)
    return share


def standing(values: np.ndarray, request: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count, for each value, the lower ones of its request, half for equal ones.

    Args:
        values: float64 [n_rows].
        request: int64 [n_rows], ascending.

    Returns:
        The lower ones, float64 [n_rows], NaN where the value is; and how many others have a value,
        int64 [n_rows].
    """
    lower, others = np.empty(len(values)), np.empty(len(values), np.int64)
    _stand(values, request, lower, others)
    return lower, others


@compiled
def _stand(values: np.ndarray, request: np.ndarray, lower: np.ndarray, others: np.ndarray) -> None:
    start = 0
    while start < len(values):
        end = start + 1
        while end < len(values) and request[end] == request[start]:
            end += 1
        part = slice(start, end)
        if end - start <= _FEW:
            _stand_among_few(values[part], lower[part], others[part])
        else:
            _stand_among_many(values[part], lower[part], others[part])
        start = end


@compiled
def _stand_among_few(values: np.ndarray, lower: np.ndarray, others: np.ndarray) -> None:
    """Compare each with each, which a processor does several at a time."""
    known = 0
    for value in values:
        known += not np.isnan(value)
    for place in range(len(values)):
        value, below, equal = values[place], 0, 0
        for other in values:
            below += other < value
            equal += other == value
        lower[place] = below + (equal - 1) / 2 if equal else np.nan
        others[place] = known - 1


@compiled
def _stand_among_many(values: np.ndarray, lower: np.ndarray, others: np.ndarray) -> None:
    """Sort the values, NaN last."""
    order = np.argsort(values)
    known = len(values)
    while known and np.isnan(values[order[known - 1]]):
        known -= 1
    first = 0
    while first < known:
        end = first + 1
        while end < known and values[order[end]] == values[order[first]]:
            end += 1
        lower[order[first:end]] = (first + end - 1) / 2
        first = end
    lower[order[known:]] = np.nan
    others[:] = known - 1
