"""Features of counters: counts, sums, rates, trends and recency."""

from dataclasses import field
from typing import Literal, Self

import numpy as np
from pydantic import model_validator
from pydantic.dataclasses import dataclass

from data_contracts.names import file_part
from features.counter_spec import EVER, CounterSpec
from features.kinds.base import (
    CHECKED,
    Columns,
    Days,
    Description,
    Feature,
    KeyParts,
    Weight,
    Window,
    label,
    owner,
    period,
    span,
    unknown,
    window,
)
from features.log.events import attributed
from features.reader import Reader


@dataclass(frozen=True, config=CHECKED)
class WindowCount(Feature):
    """Events of one kind in a window, of an item, an attribute, a user, or a pair of them."""

    key: KeyParts
    events: str
    days: Days
    kind: Literal["count"] = field(default="count", kw_only=True)

    @property
    def name(self) -> str:
        return f"{label(self.key)}_{self.events}_{window(self.days)}"

    def describe(self) -> Description:
        return Description(
            f"{self.events} events of {owner(self.key)} {period(self.days)}",
            "events",
            unknown(self.key),
            span(self.days),
            (self.events,),
        )

    def needs(self) -> list[CounterSpec]:
        return [CounterSpec(self.key, self.events, (self.days,))]

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        return reader.total(self.key, self.events, self.days)


@dataclass(frozen=True, config=CHECKED)
class WindowSum(Feature):
    """Value of a key's events of one kind in a window, such as what a user spent."""

    key: KeyParts
    events: str
    days: Days
    kind: Literal["sum"] = field(default="sum", kw_only=True)

    @property
    def name(self) -> str:
        return f"{label(self.key)}_{self.events}_value_{window(self.days)}"

    def describe(self) -> Description:
        return Description(
            f"sum of the value of {self.events} events of {owner(self.key)} {period(self.days)}; "
            "an event without a value adds nothing",
            "currency",
            unknown(self.key),
            span(self.days),
            (self.events,),
        )

    def needs(self) -> list[CounterSpec]:
        return [CounterSpec(self.key, self.events, (self.days,), "value")]

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        return reader.total(self.key, self.events, self.days, "value")


@dataclass(frozen=True, config=CHECKED)
class Rate(Feature):
    """Smoothed rate of one kind per another: (n + s * prior) / (d + s), the prior a snapshot's.

    Only what an impression led to counts, at the impression's time and once for each of them.
    """

    key: KeyParts
    events: str
    per: str
    days: Days
    smoothing: Weight
    kind: Literal["rate"] = field(default="rate", kw_only=True)

    @property
    def name(self) -> str:
        return f"{label(self.key)}_{self.events}_per_{self.per}_{window(self.days)}"

    def describe(self) -> Description:
        return Description(
            f"{' per '.join(map(_told, (self.events, self.per)))} of {owner(self.key)} "
            f"{period(self.days)}, drawn to the overall rate by {self.smoothing:g} events",
            "ratio",
            unknown(self.key),
            span(self.days),
            (self.events, self.per),
        )

    def needs(self) -> list[CounterSpec]:
        kinds = (attributed(self.events), attributed(self.per))
        return [CounterSpec(self.key, kind, (self.days,)) for kind in kinds]

    def rates(self) -> list[tuple[str, str]]:
        return [(self.events, self.per)]

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        prior = reader.snapshot.rates[rate_name(self.events, self.per)]
        hits = reader.total(self.key, attributed(self.events), self.days)
        tries = reader.total(self.key, attributed(self.per), self.days)
        return (hits + self.smoothing * prior) / (tries + self.smoothing)


def _told(kind: str) -> str:
    """Name a kind of which only the attributed events count."""
    return kind if attributed(kind) == kind else f"attributed {kind}"


def rate_name(kind: str, per: str) -> str:
    """Name of the overall rate of one kind per another."""
    return f"{file_part(kind)}/{file_part(per)}"


@dataclass(frozen=True, config=CHECKED)
class Trend(Feature):
    """Whether a key's events come faster lately: log ratio of two windows' daily counts."""

    key: KeyParts
    events: str
    days: Window
    against_days: Window
    kind: Literal["trend"] = field(default="trend", kw_only=True)

    @model_validator(mode="after")
    def _shorter_against_longer(self) -> Self:
        if self.days >= self.against_days:
            message = f"days {self.days} must be less than against_days {self.against_days}"
            raise ValueError(message)
        return self

    @property
    def name(self) -> str:
        return f"{label(self.key)}_{self.events}_trend_{self.days}d_{self.against_days}d"

    def describe(self) -> Description:
        return Description(
            f"log of {self.events} events a day of {owner(self.key)} {period(self.days)} "
            f"against {self.against_days} days, one event added to both",
            "log ratio",
            unknown(self.key),
            f"{span(self.days)}, {span(self.against_days)}",
            (self.events,),
        )

    def needs(self) -> list[CounterSpec]:
        return [CounterSpec(self.key, self.events, (self.days, self.against_days))]

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        short = reader.total(self.key, self.events, self.days) + 1
        long = reader.total(self.key, self.events, self.against_days) + 1
        return np.log(short / self.days) - np.log(long / self.against_days)


@dataclass(frozen=True, config=CHECKED)
class Recency(Feature):
    """Days since the last event of a key."""

    key: KeyParts
    events: str
    kind: Literal["recency"] = field(default="recency", kw_only=True)

    @property
    def name(self) -> str:
        return f"{label(self.key)}_days_since_{self.events}"

    def describe(self) -> Description:
        return Description(
            f"time since the last {self.events} of {owner(self.key)}",
            "days",
            f"there was none, or {unknown(self.key)}",
            span(EVER),
            (self.events,),
        )

    def needs(self) -> list[CounterSpec]:
        return [CounterSpec(self.key, self.events, (EVER,))]

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        return reader.days_since_last(self.key, self.events)


@dataclass(frozen=True, config=CHECKED)
class FirstSeen(Feature):
    """Days since the first event of a key: how long an item sells, a user comes."""

    key: KeyParts
    events: str
    kind: Literal["first_seen"] = field(default="first_seen", kw_only=True)

    @property
    def name(self) -> str:
        return f"{label(self.key)}_days_since_first_{self.events}"

    def describe(self) -> Description:
        return Description(
            f"time since the first {self.events} of {owner(self.key)} in the log",
            "days",
            f"there was none, or {unknown(self.key)}",
            span(EVER),
            (self.events,),
        )

    def needs(self) -> list[CounterSpec]:
        return [CounterSpec(self.key, self.events, (EVER,))]

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        return reader.days_since_first(self.key, self.events)
