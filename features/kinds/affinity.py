"""Affinity features: the user's liking for an attribute's values, and for prices."""

from dataclasses import field
from typing import Literal

import numpy as np
from pydantic.dataclasses import dataclass

from features.arrays.compiled import compiled
from features.counter_spec import EVER, USER, CounterSpec
from features.kinds.base import (
    CHECKED,
    Columns,
    Days,
    Description,
    Feature,
    Weight,
    period,
    span,
    window,
)
from features.reader import Reader


@dataclass(frozen=True, config=CHECKED)
class Affinity(Feature):
    """How much more than others a user takes of an attribute's value: log of smoothed shares."""

    attribute: str
    events: str
    days: Days
    smoothing: Weight
    kind: Literal["affinity"] = field(default="affinity", kw_only=True)

    @property
    def name(self) -> str:
        return f"user_{self.attribute}_{self.events}_affinity_{window(self.days)}"

    def describe(self) -> Description:
        return Description(
            f"log of the share of this user's {self.events} events {period(self.days)} with the "
            f"item's {self.attribute}, against everyone's share, drawn to it by "
            f"{self.smoothing:g} events",
            "log ratio",
            f"the item has no {self.attribute}, or the user is a guest",
            f"{span(self.days)}; shares: snapshot",
            (self.events,),
        )

    def needs(self) -> list[CounterSpec]:
        return [
            CounterSpec((USER, self.attribute), self.events, (self.days,)),
            CounterSpec((USER,), self.events, (self.days,)),
        ]

    def reads_snapshot(self) -> bool:
        return True

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        taken = reader.total((USER, self.attribute), self.events, self.days)
        of_all = reader.total((USER,), self.events, self.days)
        code = reader.attribute_code(self.attribute)
        shares = reader.snapshot.shares[self.attribute]
        return np.log(_ratios(taken, of_all, shares, code, self.smoothing))


@compiled
def _ratios(
    taken: np.ndarray, of_all: np.ndarray, shares: np.ndarray, code: np.ndarray, smoothing: float
) -> np.ndarray:
    """Give each smoothed share against the usual one, float64 [n]; NaN for a code without one."""
    ratios = np.empty(len(code))
    for n in range(len(code)):
        usual = shares[code[n]] if 0 <= code[n] < len(shares) else np.nan
        ratios[n] = (taken[n] + smoothing * usual) / (of_all[n] + smoothing) / usual
    return ratios


@dataclass(frozen=True, config=CHECKED)
class PriceAgainstUsual(Feature):
    """The item's price against the mean log price of what the user took."""

    events: str
    kind: Literal["price_against_usual"] = field(default="price_against_usual", kw_only=True)

    @property
    def name(self) -> str:
        return f"user_{self.events}_price_against_usual"

    def describe(self) -> Description:
        return Description(
            f"log(1 + price) less its mean over this user's {self.events} events",
            "log currency",
            "the item has no price, or the user took nothing with one",
            span(EVER),
            (self.events,),
        )

    def needs(self) -> list[CounterSpec]:
        return [
            CounterSpec((USER,), self.events, (EVER,), "log_price"),
            CounterSpec((USER,), self.events, (EVER,), "priced"),
        ]

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        count = reader.total((USER,), self.events, EVER, "priced")
        total = reader.total((USER,), self.events, EVER, "log_price")
        return _less_mean(reader.of_version(reader.catalogue.log_price), total, count)


@compiled
def _less_mean(price: np.ndarray, total: np.ndarray, count: np.ndarray) -> np.ndarray:
    less = np.empty(len(price))
    for n in range(len(price)):
        less[n] = price[n] - total[n] / count[n] if count[n] > 0 else np.nan
    return less
