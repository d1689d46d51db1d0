"""Whether a user comes back for an item: share of visits, rhythm, and what others do."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from features.counters import EVER, CounterSpec
from features.kinds.base import Columns
from features.log import SESSION
from features.reader import ITEM, USER, Reader


@dataclass(frozen=True)
class RepeatShare:
    """In what share of the user's visits this item was taken."""

    kind: str

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"user_item_{self.kind}_share"

    @property
    def meaning(self) -> str:
        """One sentence on the column."""
        return f"{self.kind} events of this user and this item per visit of the user; ratio"

    def needs(self) -> list[CounterSpec]:
        """The counters it reads."""
        pair = CounterSpec((USER, ITEM), self.kind, (EVER,))
        return [pair, CounterSpec((USER,), SESSION, (EVER,))]

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        taken = reader.total((USER, ITEM), self.kind, EVER)
        return taken / (reader.total((USER,), SESSION, EVER) + 1)


@dataclass(frozen=True)
class Rhythm:
    """How overdue an item is: time since the last taking against the user's usual interval."""

    kind: str

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"user_item_{self.kind}_rhythm"

    @property
    def meaning(self) -> str:
        """One sentence on the column."""
        return (
            f"log of the days since the last {self.kind} of this item by this user against their "
            "usual interval, or the item's when they took it once; missing when neither is known"
        )

    def needs(self) -> list[CounterSpec]:
        """The counters it reads."""
        return [CounterSpec((USER, ITEM), self.kind, (EVER,))]

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        key = (USER, ITEM)
        since = reader.days_since_last(key, self.kind)
        span = reader.days_since_first(key, self.kind) - since
        times = reader.total(key, self.kind, EVER)
        own = np.divide(span, times - 1, out=np.full(len(span), np.nan), where=times > 1)
        usual = np.where(own > 0, own, reader.of_item(reader.snapshot.repeat_days))
        return np.log((since + 1) / (usual + 1))


@dataclass(frozen=True)
class ItemRepeat:
    """How often the item's users come back for it: their share, or the days between."""

    measure: Literal["rate", "days"]

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"item_repeat_{self.measure}"

    @property
    def meaning(self) -> str:
        """One sentence on the column."""
        if self.measure == "rate":
            return "share of the item's users who took it on a second day, as of the snapshot"
        return "mean days between two takings of this item by one user; missing when none did"

    def needs(self) -> list[CounterSpec]:
        """The counters it reads: none."""
        return []

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        snapshot = reader.snapshot
        return reader.of_item(
            snapshot.repeat_rate if self.measure == "rate" else snapshot.repeat_days
        )
