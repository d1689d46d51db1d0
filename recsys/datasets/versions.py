"""Versions of items in logs of sales, which tell what an item was only where it was sold."""

from collections.abc import Sequence

import polars as pl

from data_contracts.items import Items
from recsys.datasets.ledger import Tally

DAY = "day sold"
"""Midnight UTC that begins a day with sales of an item."""


def versions_of_days(days: pl.DataFrame, values: Sequence[str], tally: Tally) -> pl.DataFrame:
    """Keep the days that changed an item, each as a version known from the midnight that ends it.

    An item's first day is known from the midnight that begins it, since a shop knows what it sells
    before it sells the first: the one piece of hindsight, of less than a day.

    Args:
        days: One row an item and day it was sold on, in that order: `item_id`, `DAY`, `values` as
            seen on the day.
        values: Columns that tell one version from the next.
        tally: Counts the days that changed nothing, and the first days.

    Returns:
        The rows that are versions, with `updated_at`.
    """
    item = Items.item_id
    first = item.col.is_first_distinct()
    alike = pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift(1)) for name in values)
    versions = tally.set_aside(days, alike & ~first, "day that left its item as it was")
    tally.changed(versions, first, "first day of its item: known from its beginning")
    next_day = pl.col(DAY) + pl.duration(days=1)
    known = pl.when(first).then(pl.col(DAY)).otherwise(next_day)
    return versions.with_columns(known.alias(Items.updated_at.name))
