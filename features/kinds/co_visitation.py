"""Co-visitation features: the candidate against the user's last items."""

from dataclasses import field
from typing import Literal

import numpy as np
from pydantic.dataclasses import dataclass

from features.kinds.base import CHECKED, Columns, Description, Feature, Newest
from features.reader import Reader


@dataclass(frozen=True, config=CHECKED)
class CoVisitation(Feature):
    """Co-visitation strength of a candidate with the user's newest items, by visit or by user."""

    how: Literal["session", "user"]
    pool: Literal["max", "sum"]
    newest: Newest
    kind: Literal["co_visitation"] = field(default="co_visitation", kw_only=True)

    @property
    def name(self) -> str:
        return f"together_{self.how}_{self.pool}_{self.newest}"

    def describe(self) -> Description:
        return Description(
            f"{self.pool} over the user's newest {self.newest} interactions of their shrunk cosine "
            f"with this item, by {self.how}; 0 when they never met",
            "cosine" if self.pool == "max" else "sum of cosines",
            "never",
            f"newest {self.newest}; cosines: snapshot",
            ("all interactions",),
        )

    def reads_snapshot(self) -> bool:
        return True

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        strength = reader.meetings(self.how, self.newest)
        if self.pool == "max":
            return strength.max(axis=1, initial=0).astype(np.float64)
        return strength.sum(axis=1, dtype=np.float64)
