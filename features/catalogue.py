"""The items as arrays: what features read of an item, by its place in the catalogue."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import polars as pl

from data_contracts.items import Items
from features.clock import NO_TIME

MISSING = -1


@dataclass(frozen=True)
class Catalogue:
    """What features know of each item. Rows are items, in the order of `item_ids`.

    Attributes:
        item_ids: Identifiers, [n_items].
        attributes: Per declared attribute, int32 codes [n_items]; `MISSING` where it is null.
        values: Per declared attribute, the value of each code.
        log_price: float64 [n_items], log(1 + price); NaN when unknown.
        listed_at: int64 [n_items], UTC microseconds; `NO_TIME` when unknown.
        numbers: Per declared number, float64 [n_items]; NaN where it is null.
    """

    item_ids: Sequence[str]
    attributes: Mapping[str, np.ndarray]
    values: Mapping[str, Sequence[str]]
    log_price: np.ndarray
    listed_at: np.ndarray
    numbers: Mapping[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, items: pl.DataFrame, attributes: Sequence[str]) -> "Catalogue":
        """Read the catalogue from a table that keeps the contract of items."""
        codes, values = {}, {}
        for name in attributes:
            known = items[name].drop_nulls().unique().sort()
            values[name] = known.to_list()
            codes[name] = encode(items[name], known)
        listed = items[Items.listed_at.name].dt.timestamp("us").fill_null(NO_TIME)
        price = items[Items.price.name].fill_null(float("nan"))
        return cls(
            items[Items.item_id.name].to_list(),
            codes,
            values,
            np.log1p(price.to_numpy()),
            listed.to_numpy(),
        )

    @cached_property
    def index(self) -> dict[str, int]:
        """Place of each item by its identifier."""
        return {item: place for place, item in enumerate(self.item_ids)}

    def __len__(self) -> int:
        return len(self.item_ids)


def encode(values: pl.Series, known: pl.Series) -> np.ndarray:
    """Give the place of each value among `known`, int32; `MISSING` for null and for others."""
    enum = pl.Enum(known)
    codes = values.cast(enum, strict=False).to_physical().cast(pl.Int32)
    return codes.fill_null(MISSING).to_numpy()
