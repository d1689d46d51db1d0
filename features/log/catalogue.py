"""The catalogue as arrays: attributes, numbers and prices of items, by place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import polars as pl

from data_contracts.items import Items
from data_contracts.names import SEEN
from features.arrays.clock import NO_TIME
from features.arrays.key_index import MISSING

PRICE_BAND = "price_band"
"""Derived attribute: the price's power-of-two band, such as `8 to 16`."""


@dataclass(frozen=True)
class Lists:
    """A column of items that holds any number of values each, such as tags.

    Attributes:
        offsets: int64 [n_items + 1], where the values of each item begin.
        codes: int32 [n_all], the values of all items, each value once an item.
        n_values: Different values there are.
    """

    offsets: np.ndarray
    codes: np.ndarray
    n_values: int

    @classmethod
    def of(cls, column: pl.Series) -> "Lists":
        """Number the values of a column of lists, in their order as text."""
        unique = column.list.drop_nulls().list.unique().list.sort()
        sizes = unique.list.len().fill_null(0).to_numpy().astype(np.int64)
        flat = unique.explode().drop_nulls()
        known = flat.unique().sort()
        return cls(np.append(0, np.cumsum(sizes)), encode(flat, known), len(known))

    def of_items(self, item: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values of some items, end to end.

        Args:
            item: int [n], places in the catalogue; `MISSING` has no value.

        Returns:
            Place among the asked items, and value, both int64 [n_pairs].
        """
        known = np.flatnonzero(item >= 0)
        start = self.offsets[item[known]]
        size = self.offsets[item[known] + 1] - start
        place = np.repeat(known, size)
        entry = np.arange(len(place)) + np.repeat(start - (np.cumsum(size) - size), size)
        return place, self.codes[entry].astype(np.int64)

    @cached_property
    def shares(self) -> np.ndarray:
        """Share of the items that have each value, one added to each, float64 [n_values]."""
        counts = np.bincount(self.codes, minlength=self.n_values)
        return (counts + 1) / (len(self.offsets) - 1 + self.n_values)


@dataclass(frozen=True)
class Catalogue:
    """Attributes, numbers and prices of the items, in the order of `item_ids`.

    Attributes:
        item_ids: Identifiers, [n_items].
        attributes: Per declared attribute, int32 codes [n_items]; `MISSING` where it is null.
        values: Per declared attribute, the value of each code.
        log_price: float64 [n_items], log(1 + price); NaN when unknown.
        listed_at: int64 [n_items], UTC microseconds; `NO_TIME` when unknown.
        numbers: Per declared number, float64 [n_items]; NaN where it is null.
        lists: Per declared column of lists, its values.
    """

    item_ids: Sequence[str]
    attributes: Mapping[str, np.ndarray]
    values: Mapping[str, Sequence[str]]
    log_price: np.ndarray
    listed_at: np.ndarray
    numbers: Mapping[str, np.ndarray] = field(default_factory=dict)
    lists: Mapping[str, Lists] = field(default_factory=dict)

    @classmethod
    def of(cls, items: pl.DataFrame, columns: Sequence[str]) -> "Catalogue":
        """Read the catalogue from a table that keeps the contract of items.

        Args:
            items: The table.
            columns: What features read beside price and listing: columns of text become
                attributes, columns of numbers numbers, columns of lists lists, blank texts no
                value; `PRICE_BAND` is made of the price.

        Returns:
            The catalogue.
        """
        codes, values, numbers, lists = {}, {}, {}, {}
        for name in columns:
            column = said(price_bands(items) if name == PRICE_BAND else items[name])
            if column.dtype.is_numeric():
                numbers[name] = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
                continue
            if isinstance(column.dtype, pl.List):
                lists[name] = Lists.of(column)
                continue
            known = column.drop_nulls().unique().sort()
            values[name] = known.to_list()
            codes[name] = encode(column, known)
        listed = items[Items.listed_at.name].dt.timestamp("us").fill_null(NO_TIME)
        price = items[Items.price.name].fill_null(float("nan"))
        return cls(
            items[Items.item_id.name].to_list(),
            codes,
            values,
            np.log1p(price.to_numpy()),
            listed.to_numpy(),
            numbers,
            lists,
        )

    @cached_property
    def index(self) -> dict[str, int]:
        """Place of each item by its identifier."""
        return {item: place for place, item in enumerate(self.item_ids)}

    def __len__(self) -> int:
        return len(self.item_ids)


def encode(values: pl.Series, known: pl.Series) -> np.ndarray:
    """Place of each value among `known`, int32; `MISSING` for null and for others."""
    enum = pl.Enum(known)
    codes = values.cast(enum, strict=False).to_physical().cast(pl.Int32)
    return codes.fill_null(MISSING).to_numpy()


def said(column: pl.Series) -> pl.Series:
    """Make texts with nothing to see null, or leave them out of lists: they are no value.

    Args:
        column: Of texts, lists of texts, or numbers, which stay as they are.

    Returns:
        The column.
    """
    if column.dtype == pl.String:
        return pl.select(pl.when(column.str.contains(SEEN)).then(column)).to_series()
    if column.dtype == pl.List(pl.String):
        value = pl.element()
        return column.list.eval(value.filter(value.str.contains(SEEN)))
    return column


def price_bands(items: pl.DataFrame) -> pl.Series:
    """Name the price band of each item, as `8 to 16`: a price of 8 is in it, one of 16 is not.

    The bands are the same whatever the catalogue, so that a new item moves none of the others.

    Args:
        items: A table that keeps the contract of items.

    Returns:
        Text; null without a price, `0` for nothing.
    """
    price = items[Items.price.name]
    known = np.where(price.fill_null(0).to_numpy() > 0, price.fill_null(1).to_numpy(), 1.0)
    # The exponent, unlike a logarithm, is exact where a band begins.
    power = np.frexp(known)[1] - 1
    names = [f"{2.0**n:g} to {2.0 ** (n + 1):g}" for n in power.tolist()]
    bands = pl.Series(PRICE_BAND, names, pl.String)
    frame = pl.DataFrame({"band": bands, "price": price})
    named = pl.when(pl.col("price") > 0).then(pl.col("band"))
    return frame.select(named.when(pl.col("price") == 0).then(pl.lit("0")).alias(PRICE_BAND))[
        PRICE_BAND
    ]
