"""Streaming sketches of the distributions of many columns, in constant memory.

A float32 whose bits are brought into the order of the numbers is counted by its upper 16 bits:
sign, exponent and seven bits of the fraction. Values that share them differ by less than one part
in 128, and whole numbers up to 256 each have a bucket of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features.arrays.compiled import compiled

_BITS = 16
BUCKETS = 1 << _BITS
_ZERO = BUCKETS // 2
_SIGN = np.uint32(1 << 31)
_ALL = np.uint32(0xFFFFFFFF)


def value_of(bucket: np.ndarray) -> np.ndarray:
    """Value of each bucket that is nearest to zero, float64.

    Args:
        bucket: int64, 0..`BUCKETS` - 1.

    Returns:
        float64 of the same shape; whole numbers up to 256 come back as they are.
    """
    ordered = np.asarray(bucket, np.uint32) << np.uint32(32 - _BITS)
    # Of a negative bucket the lower bits must be ones, so that they are noughts when turned round.
    negative = (ordered & _SIGN) == 0
    ordered = np.where(negative, ordered | np.uint32((1 << (32 - _BITS)) - 1), ordered)
    bits = ordered ^ np.where(negative, _ALL, _SIGN)
    return bits.astype(np.uint32).view(np.float32).astype(np.float64)


@compiled
def _count(
    values: np.ndarray, bits: np.ndarray, counts: np.ndarray
) -> tuple[int, float, float, float]:
    """Count values by their buckets.

    Args:
        values: float32 [n].
        bits: uint32 [n], the same.
        counts: int64 [BUCKETS], changed.

    Returns:
        How many are finite, their sum, the least and the greatest of them.
    """
    count, total, low, high = 0, 0.0, np.inf, -np.inf
    for n in range(len(values)):
        value = np.float64(values[n])
        if not np.isfinite(value):
            continue
        # A negative number's bits fall with it; -0 has the bits of 0.
        own = bits[n] if value != 0 else np.uint32(0)
        ordered = own ^ (_ALL if own & _SIGN else _SIGN)
        counts[ordered >> np.uint32(32 - _BITS)] += 1
        count += 1
        total += value
        low, high = min(low, value), max(high, value)
    return count, total, low, high


@compiled
def _squares(values: np.ndarray, mean: float) -> float:
    """Add the squared distances of the finite values from a mean up."""
    total = 0.0
    for one in values:
        value = np.float64(one)
        if np.isfinite(value):
            total += (value - mean) ** 2
    return total


@dataclass
class Sketch:
    """Distributions of some columns after any number of rows.

    Attributes:
        rows: Rows seen.
        known: int64 [n_columns], values that are not missing.
        counts: int64 [n_columns, BUCKETS], values by bucket.
        mean: float64 [n_columns].
        squares: float64 [n_columns], sum of squared distances from the mean.
        low: float64 [n_columns], the least value; inf before the first.
        high: float64 [n_columns], the greatest value; -inf before the first.
    """

    rows: int
    known: np.ndarray
    counts: np.ndarray
    mean: np.ndarray
    squares: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def empty(cls, n_columns: int) -> "Sketch":
        """Sketch of no rows."""
        return cls(
            0,
            np.zeros(n_columns, np.int64),
            np.zeros((n_columns, BUCKETS), np.int64),
            np.zeros(n_columns),
            np.zeros(n_columns),
            np.full(n_columns, np.inf),
            np.full(n_columns, -np.inf),
        )

    def add(self, columns: Sequence[np.ndarray]) -> None:
        """Add rows; what is not a finite number counts as missing.

        Args:
            columns: float32 [n_rows] each.
        """
        self.rows += len(columns[0])
        for place, column in enumerate(columns):
            self._add_to(place, column)

    def _add_to(self, place: int, column: np.ndarray) -> None:
        """Take values of one column in, as Chan, Golub and LeVeque (1979) update a mean."""
        before = int(self.known[place])
        count, total, low, high = _count(column, column.view(np.uint32), self.counts[place])
        if not count:
            return
        mean = total / count
        distance = mean - self.mean[place]
        both = before + count
        between = distance**2 * before * count / both
        self.known[place] = both
        self.squares[place] += _squares(column, mean) + between
        self.mean[place] += distance * count / both
        self.low[place], self.high[place] = min(self.low[place], low), max(self.high[place], high)

    def zeros(self, place: int) -> int:
        """Number of values of a column that are 0, or nearer to it than 1e-40."""
        return int(self.counts[place, _ZERO])

    def distinct(self, place: int) -> int:
        """Number of buckets that have a value of a column."""
        return int(np.count_nonzero(self.counts[place]))

    def deviation(self, place: int) -> float:
        """Standard deviation of a column's values; NaN without any."""
        if not self.known[place]:
            return float("nan")
        return float(np.sqrt(self.squares[place] / self.known[place]))

    def quantiles(self, place: int, levels: np.ndarray) -> np.ndarray:
        """Give quantiles of a column, the least value that the share of values does not exceed.

        Args:
            place: The column.
            levels: float64 [n], 0..1.

        Returns:
            float64 [n], to one part in 128; NaN when the column has no value.
        """
        running = np.cumsum(self.counts[place])
        if not running[-1]:
            return np.full(len(levels), np.nan)
        wanted = np.maximum(np.ceil(levels * running[-1]), 1)
        found = value_of(np.searchsorted(running, wanted))
        return np.clip(found, self.low[place], self.high[place])

    def binned(self, place: int, uppers: np.ndarray) -> np.ndarray:
        """Count a column's values by bins and the missing ones last, int64 [n_bins + 1].

        Args:
            place: The column.
            uppers: int64 [n_bins - 1], the last bucket of each bin but the last one, ascending.

        Returns:
            Counts of the bins, then of the missing values.
        """
        ends = np.append(np.cumsum(self.counts[place])[uppers], self.known[place])
        return np.append(np.diff(ends, prepend=0), self.rows - ends[-1])


def decile_bins(sketch: Sketch, place: int) -> np.ndarray:
    """Cut a column's values into ten bins of equal share, fewer where values repeat.

    Args:
        sketch: The values.
        place: The column.

    Returns:
        int64 [n_bins - 1], the last bucket of each bin but the last one, ascending.
    """
    running = np.cumsum(sketch.counts[place])
    uppers = np.searchsorted(running, np.arange(1, 10) / 10 * running[-1])
    # A bin that ends with the greatest value would leave nothing for the last one.
    return np.unique(uppers[running[np.minimum(uppers, BUCKETS - 1)] < running[-1]])


def stability_index(expected: np.ndarray, found: np.ndarray) -> float:
    """Population stability index of two histograms over the same bins.

    It is the sum over bins of (q - p) ln(q / p), with p and q the shares of the rows expected and
    found. Half a row is added to each bin, so that an empty one has a logarithm. Below .1 two
    distributions are commonly taken as alike, above .25 as different.

    Args:
        expected: int64 [n_bins].
        found: int64 [n_bins].

    Returns:
        The index, 0 or more; NaN when either histogram has no row.
    """
    if not expected.sum() or not found.sum():
        return float("nan")
    p = (expected + 0.5) / (expected + 0.5).sum()
    q = (found + 0.5) / (found + 0.5).sum()
    return float(((q - p) * np.log(q / p)).sum())
