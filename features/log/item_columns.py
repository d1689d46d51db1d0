"""Columns of items as features read them: when a version is known, values, price bands."""

import numpy as np
import polars as pl

from data_contracts.items import Items
from data_contracts.names import SEEN
from features.arrays.clock import NO_TIME

PRICE_BAND = "price_band"
"""Derived attribute: the price's power-of-two band, such as `8 to 16`."""
TEXT = "text_key"
"""Column of versions: names the text of each, for those who keep vectors of texts."""
KNOWN, SINCE = "_known", "_since"
"""Columns of versions: the last instant before one is known, and when it came into force, UTC
microseconds; `NO_TIME` for one that always was."""


def item_versions(items: pl.DataFrame) -> pl.DataFrame:
    """Find when each version of the items became known, and drop those that came too late.

    A version is known from the later of `updated_at` and `ingested_at` on. A record that becomes
    known when a version of a later `updated_at` is known already tells of the past, and is never in
    force.

    Args:
        items: A table that keeps the contract of items.

    Returns:
        The versions with `KNOWN` and `SINCE`, item by item in the order in which they became known.
    """
    item = Items.item_id.name
    in_order = with_known(items).sort(item, KNOWN, SINCE, maintain_order=True)
    return in_order.filter(pl.col(SINCE) >= pl.col(SINCE).cum_max().over(item))


def with_known(items: pl.DataFrame) -> pl.DataFrame:
    """Add `KNOWN` and `SINCE` to the rows of a table that keeps the contract of items."""
    times = [each.col.dt.timestamp("us") for each in (Items.updated_at, Items.ingested_at)]
    return items.with_columns(
        (pl.max_horizontal(times) - 1).fill_null(NO_TIME).alias(KNOWN),
        pl.coalesce(*times, pl.lit(NO_TIME)).alias(SINCE),
    )


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
