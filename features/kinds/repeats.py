"""Repeat features: how often and how regularly a user, or all users, come back for an item."""

from dataclasses import field
from typing import Literal

import numpy as np
from pydantic.dataclasses import dataclass

from features.arrays.compiled import compiled
from features.counter_spec import EVER, ITEM, USER, CounterSpec
from features.kinds.base import CHECKED, Columns, Description, Feature, span
from features.log.events import SESSION
from features.reader import Reader

_NO_PAIR = "the item is unknown or the user is a guest"


@dataclass(frozen=True, config=CHECKED)
class RepeatShare(Feature):
    """In what share of the user's visits this item was taken."""

    events: str
    kind: Literal["repeat_share"] = field(default="repeat_share", kw_only=True)

    @property
    def name(self) -> str:
        return f"user_item_{self.events}_share"

    def describe(self) -> Description:
        return Description(
            f"{self.events} events of this user and this item per visit of the user, one visit "
            "added",
            "ratio",
            _NO_PAIR,
            span(EVER),
            (self.events, SESSION),
        )

    def needs(self) -> list[CounterSpec]:
        pair = CounterSpec((USER, ITEM), self.events, (EVER,))
        return [pair, CounterSpec((USER,), SESSION, (EVER,))]

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        taken = reader.total((USER, ITEM), self.events, EVER)
        return taken / (reader.total((USER,), SESSION, EVER) + 1)


@dataclass(frozen=True, config=CHECKED)
class Rhythm(Feature):
    """How overdue an item is: time since the last taking against the user's usual interval."""

    events: str
    kind: Literal["rhythm"] = field(default="rhythm", kw_only=True)

    @property
    def name(self) -> str:
        return f"user_item_{self.events}_rhythm"

    def describe(self) -> Description:
        return Description(
            f"log of the days since the last {self.events} of this item by this user against their "
            "usual interval, or the item's when they took it once",
            "log ratio",
            "the user never took it, or neither interval is known",
            f"{span(EVER)}; the item's interval: snapshot",
            (self.events,),
        )

    def needs(self) -> list[CounterSpec]:
        return [CounterSpec((USER, ITEM), self.events, (EVER,))]

    def reads_snapshot(self) -> bool:
        return True

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        key = (USER, ITEM)
        since = reader.days_since_last(key, self.events)
        first = reader.days_since_first(key, self.events)
        times = reader.total(key, self.events, EVER)
        of_item = reader.of_item(reader.snapshot.repeat_days)
        return np.log(_against_usual(since, first, times, of_item))


@compiled
def _against_usual(
    since: np.ndarray, first: np.ndarray, times: np.ndarray, of_item: np.ndarray
) -> np.ndarray:
    """Days since the last time against the usual interval, one added to both.

    Args:
        since: float64 [n], days since the last time.
        first: float64 [n], days since the first time.
        times: float64 [n].
        of_item: float64 [n], the interval where the user has none of their own.

    Returns:
        float64 [n].
    """
    ratios = np.empty(len(since))
    for n in range(len(since)):
        own = (first[n] - since[n]) / (times[n] - 1) if times[n] > 1 else np.nan
        usual = own if own > 0 else of_item[n]
        ratios[n] = (since[n] + 1) / (usual + 1)
    return ratios


@dataclass(frozen=True, config=CHECKED)
class ItemRepeat(Feature):
    """How often the item's users come back for it: their share, or the days between."""

    measure: Literal["rate", "days"]
    kind: Literal["item_repeat"] = field(default="item_repeat", kw_only=True)

    @property
    def name(self) -> str:
        return f"item_repeat_{self.measure}"

    def describe(self) -> Description:
        sources = ("all interactions",)
        if self.measure == "rate":
            return Description(
                "smoothed share of this item's users who took it on a second day",
                "ratio",
                "the item is unknown",
                "snapshot",
                sources,
            )
        return Description(
            "mean time between two takings of this item by one user",
            "days",
            "no user took it on two days",
            "snapshot",
            sources,
        )

    def reads_snapshot(self) -> bool:
        return True

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        snapshot = reader.snapshot
        return reader.of_item(
            snapshot.repeat_rate if self.measure == "rate" else snapshot.repeat_days
        )
