"""Features of the user's last interactions: what they share with the candidate."""

from dataclasses import field
from typing import Literal

import numpy as np
from pydantic.dataclasses import dataclass

from data_contracts.items import Items
from features.arrays.key_index import MISSING
from features.arrays.look_up import look_up
from features.counter_spec import ITEM
from features.kinds.base import CHECKED, Columns, Description, Feature, Newest, Weight
from features.reader import Reader


@dataclass(frozen=True, config=CHECKED)
class LastShare(Feature):
    """Share of the user's last interactions that were with the candidate, or with one like it."""

    attribute: str
    newest: Newest
    kind: Literal["last_share"] = field(default="last_share", kw_only=True)

    @property
    def name(self) -> str:
        return f"user_last_{self.newest}_{self.attribute}_share"

    def describe(self) -> Description:
        what = "item" if self.attribute == ITEM else f"item's {self.attribute}"
        return Description(
            f"share of the user's newest {self.newest} interactions with this {what}",
            "ratio",
            f"the user has no history, or the {what} is unknown",
            f"newest {self.newest}",
            ("all interactions",),
        )

    def attributes(self) -> list[str]:
        return [] if self.attribute == ITEM else [self.attribute]

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        past = reader.past_items(self.newest)
        if self.attribute == ITEM:
            own, others = reader.item, past
        else:
            own = reader.attribute_code(self.attribute)
            codes = reader.catalogue.attributes[self.attribute]
            others = look_up(codes, reader.past_versions(self.newest).ravel(), MISSING)
            others = others.reshape(past.shape)
        length = (past != MISSING).sum(axis=1)[reader.rows.request]
        same = (others[reader.rows.request] == own[:, None]).sum(axis=1)
        known = (length > 0) & (own != MISSING)
        return np.divide(same, length, out=np.full(len(own), np.nan), where=known)


@dataclass(frozen=True, config=CHECKED)
class TagAffinity(Feature):
    """How much more than others the user's last interactions have the candidate's tags."""

    newest: Newest
    smoothing: Weight
    kind: Literal["tag_affinity"] = field(default="tag_affinity", kw_only=True)

    @property
    def name(self) -> str:
        return f"user_last_{self.newest}_tags_affinity"

    def describe(self) -> Description:
        return Description(
            f"log of the share of the user's newest {self.newest} interactions with items of a "
            "tag, against everyone's share, both as means over this item's tags, drawn to "
            f"the latter by {self.smoothing:g} interactions",
            "log ratio",
            "the item has no tags that a snapshot knows, or the user has no history",
            f"newest {self.newest}; shares: snapshot",
            ("all interactions",),
        )

    def lists(self) -> list[str]:
        return [Items.tags.name]

    def reads_snapshot(self) -> bool:
        return True

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        tags, rows = reader.catalogue.lists[Items.tags.name], reader.rows
        shares, past = reader.snapshot.shares[Items.tags.name], reader.past_items(self.newest)
        length = (past != MISSING).sum(axis=1)
        place, tag = tags.of_versions(reader.past_versions(self.newest).ravel())
        n_tags = len(reader.catalogue.values[Items.tags.name])
        taken, times = np.unique(place // max(past.shape[1], 1) * n_tags + tag, return_counts=True)
        row, tag = tags.of_versions(reader.version)
        row, tag = row[tag < len(shares)], tag[tag < len(shares)]
        asked = rows.request[row] * n_tags + tag
        found = np.minimum(np.searchsorted(taken, asked), max(len(taken) - 1, 0))
        count = np.zeros(len(asked))
        if len(taken):
            count = np.where(taken[found] == asked, times[found], 0)
        usual = shares[tag]
        own = (count + self.smoothing * usual) / (length[rows.request[row]] + self.smoothing)
        total, expected = (np.bincount(row, values, len(rows)) for values in (own, usual))
        known = (expected > 0) & (length[rows.request] > 0)
        ratio = np.divide(total, expected, out=np.full(len(rows), np.nan), where=known)
        return np.log(ratio)
