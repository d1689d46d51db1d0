"""What every kind of feature offers, and the words their names and meanings share.

`compute` gets a `Reader`, which answers as of each row's moment, so a feature cannot look ahead.
Values are float64 [n_rows]; NaN is the missing value, which LightGBM handles by itself.
"""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from features.counters import EVER, CounterSpec
from features.reader import ITEM, USER, Key, Reader

Columns = Mapping[str, np.ndarray]


class Feature(Protocol):
    """What every kind offers."""

    @property
    def name(self) -> str:
        """Name of the column."""
        ...

    @property
    def meaning(self) -> str:
        """One sentence: what it is, its unit, and when it is missing."""
        ...

    def needs(self) -> list[CounterSpec]:
        """The counters it reads."""
        ...

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column, float64 [n_rows]; `done` holds the columns declared before it."""
        ...


def window(days: int) -> str:
    """Name a window in a column's name."""
    return "ever" if days == EVER else f"{days}d"


def period(days: int) -> str:
    """Name a window in a sentence."""
    return "ever" if days == EVER else f"in the last {days} days"


def label(key: Key) -> str:
    """Name a key in a column's name."""
    return "_".join(key)


def owner(key: Key) -> str:
    """Name a key in a sentence."""
    parts = {ITEM: "this item", USER: "this user"}
    return " and ".join(parts.get(part, f"the item's {part}") for part in key)
