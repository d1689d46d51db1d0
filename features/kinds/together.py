"""How the item met what the user took last."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from features.counters import CounterSpec
from features.kinds.base import Columns
from features.reader import Reader


@dataclass(frozen=True)
class CoVisitation:
    """How strongly a candidate met the user's newest items, by visit or by user."""

    how: Literal["session", "user"]
    pool: Literal["max", "sum"]
    newest: int

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"together_{self.how}_{self.pool}_{self.newest}"

    @property
    def meaning(self) -> str:
        """One sentence on the column."""
        return (
            f"{self.pool} over the user's newest {self.newest} interactions of their shrunk cosine "
            f"with this item, by {self.how}, as of the snapshot; 0 when they never met"
        )

    def needs(self) -> list[CounterSpec]:
        """The counters it reads: none."""
        return []

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        strength = reader.meetings(self.how, self.newest)
        if self.pool == "max":
            return strength.max(axis=1, initial=0).astype(np.float64)
        return strength.sum(axis=1, dtype=np.float64)
