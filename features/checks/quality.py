"""Feature quality: coverage, distribution, and drift against the training window.

The reference is the rows of the training window. Each later calendar month is compared by
the population stability index, over the reference's deciles and a bin of missing values.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from data_contracts.errors import DataError
from data_contracts.events import Impressions
from data_contracts.progress import Track, silent
from features.checks.sketch import Sketch, decile_bins, stability_index, value_of
from features.feature_set import FeatureSet
from features.kinds.base import Feature

LEVELS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
"""The quantiles that are reported."""
DRIFTS, DIFFERS = 0.1, 0.25
"""From which stability index on a period is said to drift, or to differ."""
_BARS = 24
_TRAINING = "training"
ABOVE_ONE = "above 1"
USELESS = (ABOVE_ONE, "always missing", "constant")
"""Faults of columns that come first in a report."""

# NaN has no JSON: it is written as null, and read back from it.
Number = Annotated[float, BeforeValidator(lambda value: float("nan") if value is None else value)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PeriodQuality(_Part):
    """Quality of a column in one later period."""

    period: str = Field(description="Calendar month, UTC.")
    rows: int = Field(ge=0, description="Rows of the period.")
    missing: Number = Field(description="Share of rows without a value.")
    mean: Number = Field(description="Mean of the values.")
    high: Number = Field(description="The greatest value.")
    psi: Number = Field(description="Population stability index against the training window.")


class Histogram(_Part):
    """The middle 98% of a column's values, in bins of equal width.

    Attributes:
        edges: Borders of the bins.
        training: Share of the training window's values in each bin.
        latest: The same of the last period; empty without one.
    """

    edges: tuple[float, ...]
    training: tuple[float, ...]
    latest: tuple[float, ...]


class ColumnQuality(_Part):
    """Quality of a column in the training window, and its drift after it."""

    name: str
    meaning: str
    unit: str
    is_rate: bool = Field(False, description="Whether it is some events' share of others.")
    missing: Number = Field(description="Share of the training window's rows without a value.")
    zeros: Number = Field(description="Share of the values that are 0.")
    distinct: int = Field(description="Different values; those within 1 in 128 count as one.")
    mean: Number
    deviation: Number = Field(description="Standard deviation.")
    low: Number
    high: Number
    quantiles: dict[str, Number] = Field(description="By level, to 1 in 128.")
    bars: Histogram | None = None
    periods: tuple[PeriodQuality, ...] = ()

    @property
    def coverage(self) -> float:
        """Share of the training window's rows that have a value."""
        return 1 - self.missing

    @property
    def worst(self) -> PeriodQuality | None:
        """The period that differs most; None when none can be compared."""
        known = [each for each in self.periods if not np.isnan(each.psi)]
        return max(known, key=lambda each: each.psi, default=None)

    @property
    def psi(self) -> float:
        """The greatest stability index of any period; 0 without one."""
        return 0.0 if self.worst is None else self.worst.psi

    @property
    def highest(self) -> float:
        """The greatest value of all periods; `-inf` without any."""
        known = [
            high
            for high in (self.high, *(each.high for each in self.periods))
            if not np.isnan(high)
        ]
        return max(known, default=float("-inf"))

    @property
    def fault(self) -> str:
        """Fault of the column in a word or two; empty without one."""
        if self.is_rate and self.highest > 1:
            return ABOVE_ONE
        if self.missing == 1:
            return "always missing"
        if self.low == self.high and not self.missing:
            return "constant"
        if self.psi >= DIFFERS:
            return "differs"
        return "drifts" if self.psi >= DRIFTS else ""


class QualityReport(_Part):
    """Quality of all features of a workspace."""

    data_name: str
    training_start: AwareDatetime = Field(description="First moment of the training window.")
    training_end: AwareDatetime = Field(description="First moment after it.")
    rows: int = Field(ge=0, description="Rows of the training window.")
    columns: tuple[ColumnQuality, ...] = Field(description="In the order of the matrix.")

    @property
    def worst_first(self) -> list[ColumnQuality]:
        """Columns without use first, then by falling drift, then by falling share of missing."""
        return sorted(
            self.columns,
            key=lambda c: (c.fault not in USELESS, -c.psi, -c.missing),
        )

    def require_rates(self) -> None:
        """Refuse rates above 1.

        Raises:
            DataError: A rate column has a value above 1.
        """
        above = [column for column in self.columns if column.fault == ABOVE_ONE]
        if above:
            told = ", ".join(f"{column.name} {column.highest:.2f}" for column in above)
            raise DataError(
                f"rates above 1, at the most: {told}",
                "rates of at most 1: what they count is a part of what they are per",
                "log every event of the kind they are per, or declare them per impression",
            )


@dataclass(frozen=True)
class _Period:
    name: str
    sketch: Sketch


def feature_quality(
    folder: Path,
    features: FeatureSet,
    data_name: str,
    start: datetime,
    end: datetime,
    track: Track = silent,
) -> QualityReport:
    """Measure the rows that a backfill wrote, one file at a time.

    Memory holds one file and two sketches, whatever the number of files.

    Args:
        folder: Parquet files of rows by date, in the order of their names.
        features: The columns to look at.
        data_name: Name of the data set.
        start: First moment of the training window.
        end: First moment after it.
        track: Shows progress.

    Returns:
        What was found; rows before the training window are left out.

    Raises:
        DataError: The training window has no row.
    """
    files = sorted(folder.glob("*.parquet"))
    parts = _parts(track(files, "Checking features", len(files)), features.names, start, end)
    reference: Sketch | None = None
    last: Sketch | None = None
    found: dict[str, list[PeriodQuality]] = {name: [] for name in features.names}
    for period in _periods(parts, len(features.names)):
        if reference is None and period.name != _TRAINING:
            break
        if reference is None:
            reference = period.sketch
            continue
        last = period.sketch
        for place, name in enumerate(features.names):
            found[name].append(_compare(reference, period, place))
    if reference is None:
        raise DataError(
            f"no row from {start} until {end} in {folder}",
            "rows in the ranker's training window",
            "run `recsys backfill` for that time, or move the moments under [split]",
        )
    columns = [
        _column(feature, reference, last, place, found[feature.name])
        for place, feature in enumerate(features.features)
    ]
    return QualityReport(
        data_name=data_name,
        training_start=start,
        training_end=end,
        rows=reference.rows,
        columns=tuple(columns),
    )


def _parts(
    files: Iterable[Path], names: Sequence[str], start: datetime, end: datetime
) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Read the files in order, and give the columns of each by the name of their period."""
    time = Impressions.timestamp.name
    for file in files:
        frame = pl.read_parquet(file, columns=[time, *names])
        moment = pl.col(time)
        training = frame.filter((moment >= start) & (moment < end))
        if training.height:
            yield _TRAINING, _columns(training, names)
        later = frame.filter(moment >= end)
        if later.height:
            month = later[time][0].strftime("%Y-%m")
            yield month, _columns(later, names)


def _columns(frame: pl.DataFrame, names: Sequence[str]) -> list[np.ndarray]:
    return [frame[name].rechunk().to_numpy() for name in names]


def _periods(parts: Iterator[tuple[str, list[np.ndarray]]], n_columns: int) -> Iterator[_Period]:
    for name, of_period in groupby(parts, key=lambda part: part[0]):
        sketch = Sketch.empty(n_columns)
        for _, columns in of_period:
            sketch.add(columns)
        yield _Period(name, sketch)


def _compare(reference: Sketch, period: _Period, place: int) -> PeriodQuality:
    uppers = decile_bins(reference, place)
    sketch = period.sketch
    known = int(sketch.known[place])
    return PeriodQuality(
        period=period.name,
        rows=sketch.rows,
        missing=1 - known / sketch.rows,
        mean=float(sketch.mean[place]) if known else float("nan"),
        high=float(sketch.high[place]) if known else float("nan"),
        psi=stability_index(reference.binned(place, uppers), sketch.binned(place, uppers)),
    )


def _column(
    feature: Feature,
    reference: Sketch,
    last: Sketch | None,
    place: int,
    periods: Sequence[PeriodQuality],
) -> ColumnQuality:
    known = int(reference.known[place])
    nothing = float("nan")
    quantiles = reference.quantiles(place, np.array(LEVELS)).tolist()
    return ColumnQuality(
        name=feature.name,
        meaning=feature.describe().meaning,
        unit=feature.describe().unit,
        is_rate=bool(feature.rates()),
        missing=1 - known / reference.rows,
        zeros=reference.zeros(place) / known if known else nothing,
        distinct=reference.distinct(place),
        mean=float(reference.mean[place]) if known else nothing,
        deviation=reference.deviation(place),
        low=float(reference.low[place]) if known else nothing,
        high=float(reference.high[place]) if known else nothing,
        quantiles={f"{level:g}": value for level, value in zip(LEVELS, quantiles, strict=True)},
        bars=_bars(reference, last, place) if known else None,
        periods=tuple(periods),
    )


def _bars(reference: Sketch, last: Sketch | None, place: int) -> Histogram:
    low, high = reference.quantiles(place, np.array((LEVELS[0], LEVELS[-1])))
    edges = np.linspace(low, high, _BARS + 1) if high > low else np.array([low - 0.5, low + 0.5])
    return Histogram(
        edges=tuple(edges.tolist()),
        training=_shares(reference, place, edges),
        latest=() if last is None else _shares(last, place, edges),
    )


def _shares(sketch: Sketch, place: int, edges: np.ndarray) -> tuple[float, ...]:
    buckets = np.flatnonzero(sketch.counts[place])
    counts = sketch.counts[place][buckets]
    inside, _ = np.histogram(value_of(buckets), edges, weights=counts)
    return tuple((inside / max(int(counts.sum()), 1)).tolist())
