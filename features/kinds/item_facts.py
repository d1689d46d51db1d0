"""What is known of the item itself: price and age."""

from dataclasses import dataclass

import numpy as np

from features.clock import days_since
from features.counters import EVER, CounterSpec
from features.kinds.base import Columns
from features.reader import ITEM, Reader


@dataclass(frozen=True)
class Price:
    """The item's price, as it is."""

    name = "item_price"
    meaning = "log(1 + price); missing when the catalogue has none"

    def needs(self) -> list[CounterSpec]:
        """The counters it reads: none."""
        return []

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        return reader.of_item(reader.catalogue.log_price)


@dataclass(frozen=True)
class Age:
    """Days since the item was listed."""

    name = "item_age"
    meaning = "time since the item was listed; days, missing when unknown or still to come"

    def needs(self) -> list[CounterSpec]:
        """The counters it reads: none."""
        return []

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        listed = reader.listed_at()
        age = days_since(reader.row_moment, listed)
        age[age < 0] = np.nan
        return age


@dataclass(frozen=True)
class FirstSeen:
    """Days since the first event of an item, for catalogues without listing dates."""

    kind: str

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"item_days_since_first_{self.kind}"

    @property
    def meaning(self) -> str:
        """One sentence on the column."""
        return f"time since the first {self.kind} of this item in the log; days, missing when none"

    def needs(self) -> list[CounterSpec]:
        """The counters it reads."""
        return [CounterSpec((ITEM,), self.kind, (EVER,))]

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        return reader.days_since_first((ITEM,), self.kind)
