"""Time-forward split: the periods of text model, ranker, validation and test, with purge gaps."""

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

import polars as pl
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from data_contracts.errors import LeakError


class SplitSettings(BaseModel):
    """The part `[split]` of `recsys.toml`: the moments between the periods.

    After each of them a purge gap of one attribution window is left out, so that no label of the
    earlier period is decided by an event of the later one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    text_end: AwareDatetime = Field(description="The encoder is trained on events before this.")
    ranker_end: AwareDatetime = Field(description="The ranker is trained on requests before this.")
    validation_end: AwareDatetime = Field(
        description="Early stopping and calibration use requests before this; the test the rest."
    )
    test_end: AwareDatetime | None = Field(
        None, description="End of the test; the end of the log when absent."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        moments: list[datetime] = [self.text_end, self.ranker_end, self.validation_end]
        if self.test_end is not None:
            moments.append(self.test_end)
        if any(later <= earlier for earlier, later in itertools.pairwise(moments)):
            message = "need text_end < ranker_end < validation_end < test_end"
            raise ValueError(message)
        return self


@dataclass(frozen=True)
class Period:
    """A half-open stretch of time.

    Attributes:
        start: First moment inside; None for the beginning of the log.
        end: First moment outside; None for the end of the log.
    """

    start: datetime | None
    end: datetime | None

    def contains(self, time: pl.Expr) -> pl.Expr:
        """Give the condition that a time lies inside."""
        inside = pl.lit(value=True)
        if self.start is not None:
            inside &= time >= self.start
        if self.end is not None:
            inside &= time < self.end
        return inside

    def extended(self, by: timedelta) -> "Period":
        """Give the same period with a later end."""
        return self if self.end is None else Period(self.start, self.end + by)

    def until(self, end: datetime) -> "Period":
        """Give the same period, ending at a moment at the latest."""
        return Period(self.start, end if self.end is None else min(self.end, end))

    def __str__(self) -> str:
        start = "the beginning" if self.start is None else f"{self.start:%Y-%m-%d %H:%M}"
        return f"from {start} to {'the end' if self.end is None else f'{self.end:%Y-%m-%d %H:%M}'}"


@dataclass(frozen=True)
class Periods:
    """The four periods of a split, each after the first begun by a purge gap.

    Attributes:
        text: What the text model learns from.
        ranker: What the ranker learns from.
        validation: What decides on early stopping and calibration.
        test: What bundles are evaluated on.
    """

    text: Period
    ranker: Period
    validation: Period
    test: Period


def periods(split: SplitSettings, attribution_window_hours: float) -> Periods:
    """Cut a log by its split, with gaps of one attribution window."""
    gap = timedelta(hours=attribution_window_hours)
    return Periods(
        Period(None, split.text_end),
        Period(split.text_end + gap, split.ranker_end),
        Period(split.ranker_end + gap, split.validation_end),
        Period(split.validation_end + gap, split.test_end),
    )


def require_time_forward(trained_until: int, first_request: int) -> None:
    """Refuse a text model that saw the time of the rows it is to score.

    A match from an encoder that was trained on the ranker's own labels looks far better in
    training than it is, and the ranker learns to lean on it.

    Args:
        trained_until: Last instant whose events may have decided a label of the text model, UTC
            microseconds.
        first_request: Earliest request of the rows to be scored, UTC microseconds.

    Raises:
        LeakError: The text model's training reaches beyond that request.
    """
    if trained_until > first_request:
        raise LeakError(
            f"a text model trained on labels up to {_moment(trained_until)}, to score requests "
            f"from {_moment(first_request)} on",
            "a text model whose training ended before the first request the ranker learns from",
            "train the text model up to text_end only: `recsys train` does so by itself",
        )


def _moment(time: int) -> str:
    return f"{datetime.fromtimestamp(time / 1e6, UTC):%Y-%m-%d %H:%M:%S} UTC"
