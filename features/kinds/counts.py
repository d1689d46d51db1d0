"""How many events, how fast, how long ago: counts, rates, trends and recency of a key."""

from dataclasses import dataclass

import numpy as np

from features.counters import EVER, CounterSpec
from features.kinds.base import Columns, label, owner, period, window
from features.reader import Key, Reader


@dataclass(frozen=True)
class WindowCount:
    """Events of one kind in a window, of an item, an attribute, a user, or a pair of them."""

    key: Key
    kind: str
    days: int

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"{label(self.key)}_{self.kind}_{window(self.days)}"

    @property
    def meaning(self) -> str:
        """One sentence on the column."""
        return f"{self.kind} events of {owner(self.key)} {period(self.days)}; count"

    def needs(self) -> list[CounterSpec]:
        """The counters it reads."""
        return [CounterSpec(self.key, self.kind, (self.days,))]

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        return reader.total(self.key, self.kind, self.days)


@dataclass(frozen=True)
class Rate:
    """Smoothed rate of one kind per another: (n + s * prior) / (d + s), the prior a snapshot's."""

    key: Key
    kind: str
    per: str
    days: int
    smoothing: float

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"{label(self.key)}_{self.kind}_per_{self.per}_{window(self.days)}"

    @property
    def meaning(self) -> str:
        """One sentence on the column."""
        return (
            f"{self.kind} per {self.per} of {owner(self.key)} {period(self.days)}, "
            f"drawn to the overall rate by {self.smoothing:g} events; ratio"
        )

    def needs(self) -> list[CounterSpec]:
        """The counters it reads."""
        return [CounterSpec(self.key, kind, (self.days,)) for kind in (self.kind, self.per)]

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        prior = reader.snapshot.rates[rate_name(self.kind, self.per)]
        hits = reader.total(self.key, self.kind, self.days)
        tries = reader.total(self.key, self.per, self.days)
        return (hits + self.smoothing * prior) / (tries + self.smoothing)


def rate_name(kind: str, per: str) -> str:
    """Name of the overall rate of one kind per another."""
    return f"{kind}/{per}"


@dataclass(frozen=True)
class Trend:
    """Whether a key's events come faster lately: log ratio of two windows' daily counts."""

    key: Key
    kind: str
    days: int
    against_days: int

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"{label(self.key)}_{self.kind}_trend_{self.days}d_{self.against_days}d"

    @property
    def meaning(self) -> str:
        """One sentence on the column."""
        return (
            f"log of {self.kind} events a day of {owner(self.key)} {period(self.days)} "
            f"against {self.against_days} days, one event added to both; log ratio"
        )

    def needs(self) -> list[CounterSpec]:
        """The counters it reads."""
        return [CounterSpec(self.key, self.kind, (self.days, self.against_days))]

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        short = reader.total(self.key, self.kind, self.days) + 1
        long = reader.total(self.key, self.kind, self.against_days) + 1
        return np.log(short / self.days) - np.log(long / self.against_days)


@dataclass(frozen=True)
class Recency:
    """Days since the last event of a key."""

    key: Key
    kind: str

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"{label(self.key)}_days_since_{self.kind}"

    @property
    def meaning(self) -> str:
        """One sentence on the column."""
        return f"time since the last {self.kind} of {owner(self.key)}; days, missing when none"

    def needs(self) -> list[CounterSpec]:
        """The counters it reads."""
        return [CounterSpec(self.key, self.kind, (EVER,))]

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        return reader.days_since_last(self.key, self.kind)
