"""What a user tends to: values of an attribute, and prices."""

from dataclasses import dataclass

import numpy as np

from features.counters import EVER, CounterSpec
from features.kinds.base import Columns, period, window
from features.reader import USER, Reader


@dataclass(frozen=True)
class Affinity:
    """How much more than others a user takes of an attribute's value: log of smoothed shares."""

    attribute: str
    kind: str
    days: int
    smoothing: float

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"user_{self.attribute}_{self.kind}_affinity_{window(self.days)}"

    @property
    def meaning(self) -> str:
        """One sentence on the column."""
        return (
            f"log of the share of this user's {self.kind} events {period(self.days)} with the "
            f"item's {self.attribute}, against everyone's share, drawn to it by "
            f"{self.smoothing:g} events; missing when the item has no {self.attribute}"
        )

    def needs(self) -> list[CounterSpec]:
        """The counters it reads."""
        return [
            CounterSpec((USER, self.attribute), self.kind, (self.days,)),
            CounterSpec((USER,), self.kind, (self.days,)),
        ]

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        taken = reader.total((USER, self.attribute), self.kind, self.days)
        of_all = reader.total((USER,), self.kind, self.days)
        shares = reader.snapshot.shares[self.attribute]
        code = reader.attribute_code(self.attribute)
        usual = np.append(shares, np.nan)[code]
        own = (taken + self.smoothing * usual) / (of_all + self.smoothing)
        return np.log(own / usual)


@dataclass(frozen=True)
class PriceAgainstUsual:
    """The item's price against the mean log price of what the user took."""

    kind: str

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"user_{self.kind}_price_against_usual"

    @property
    def meaning(self) -> str:
        """One sentence on the column."""
        return f"log price less the mean of this user's {self.kind} events; missing without any"

    def needs(self) -> list[CounterSpec]:
        """The counters it reads."""
        return [
            CounterSpec((USER,), self.kind, (EVER,), "log_price"),
            CounterSpec((USER,), self.kind, (EVER,), "priced"),
        ]

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        count = reader.total((USER,), self.kind, EVER, "priced")
        total = reader.total((USER,), self.kind, EVER, "log_price")
        usual = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
        return reader.of_item(reader.catalogue.log_price) - usual
