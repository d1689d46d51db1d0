"""What belongs to the request: local time, and numbers the caller sends."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from features.counters import CounterSpec
from features.kinds.base import Columns
from features.reader import Reader


@dataclass(frozen=True)
class LocalTime:
    """Hour of the day or day of the week where the users live."""

    part: Literal["hour", "weekday"]
    timezone: str

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"request_{self.part}"

    @property
    def meaning(self) -> str:
        """One sentence on the column."""
        unit = "0..23" if self.part == "hour" else "0 is Monday"
        return f"{self.part} of the request in {self.timezone}; {unit}"

    def needs(self) -> list[CounterSpec]:
        """The counters it reads: none."""
        return []

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        hours, weekdays = reader.local_time(self.timezone)
        return hours if self.part == "hour" else weekdays


@dataclass(frozen=True)
class Given:
    """A number the caller sent with the candidate."""

    field: str

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"given_{self.field}"

    @property
    def meaning(self) -> str:
        """One sentence on the column."""
        return f"`{self.field}` as the caller sent it; missing when it did not"

    def needs(self) -> list[CounterSpec]:
        """The counters it reads: none."""
        return []

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        given = reader.rows.given.get(self.field)
        return np.full(len(reader.rows), np.nan) if given is None else given.astype(np.float64)
