"""What the user's last interactions have in common with the candidate."""

from dataclasses import field
from typing import Literal

import numpy as np
from pydantic.dataclasses import dataclass

from features.catalogue import MISSING
from features.counters import ITEM
from features.kinds.base import CHECKED, Columns, Description, Feature, Newest
from features.reader import Reader, attribute_of


@dataclass(frozen=True, config=CHECKED)
class LastShare(Feature):
    """Share of the user's last interactions that were with the candidate, or with one like it."""

    attribute: str
    newest: Newest
    kind: Literal["last_share"] = field(default="last_share", kw_only=True)

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"user_last_{self.newest}_{self.attribute}_share"

    def describe(self) -> Description:
        """Say what the column is."""
        what = "item" if self.attribute == ITEM else f"item's {self.attribute}"
        return Description(
            f"share of the user's newest {self.newest} interactions with this {what}",
            "ratio",
            f"the user has no history, or the {what} is unknown",
            f"newest {self.newest}",
            ("all interactions",),
        )

    def attributes(self) -> list[str]:
        """The column of items it compares."""
        return [] if self.attribute == ITEM else [self.attribute]

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        past = reader.history.item[:, : self.newest]
        if self.attribute == ITEM:
            own, others = reader.rows.item, past
        else:
            own = reader.attribute_code(self.attribute)
            others = attribute_of(reader.catalogue, self.attribute, past.ravel())
            others = others.reshape(past.shape)
        length = (past != MISSING).sum(axis=1)[reader.rows.request]
        same = (others[reader.rows.request] == own[:, None]).sum(axis=1)
        known = (length > 0) & (own != MISSING)
        return np.divide(same, length, out=np.full(len(own), np.nan), where=known)
