"""Contract of the items table."""

import dataframely as dy
import polars as pl

from data_contracts.names import IdColumn


class Items(dy.Schema):
    """One row a version of an item; further columns are attributes that `recsys.toml` declares.

    A catalogue that keeps no history has one row an item. Several rows of one item are what it was
    over time: each holds all columns, and counts from the moment it is known, which is the later of
    `updated_at` and `ingested_at`, or always without both.
    """

    item_id = IdColumn("Identifier; the same in all versions of an item.")
    title = dy.String(
        nullable=False,
        description="Short name shown to users; empty when the item has no text.",
    )
    description = dy.String(nullable=True, description="Longer text.")
    category = dy.String(nullable=True, description="The item's main category.")
    tags = dy.List(dy.String(nullable=False), nullable=True, description="Free labels, any number.")
    price = dy.Float64(
        nullable=True,
        min=0,
        description="List price in the shop's one currency.",
        metadata={"unit": "currency"},
    )
    listed_at = dy.Datetime(
        nullable=True,
        time_unit="us",
        time_zone="UTC",
        description="First moment the item could be bought; null when unknown.",
    )
    updated_at = dy.Datetime(
        nullable=True,
        time_unit="us",
        time_zone="UTC",
        description="When this version came into force; null: it always was. Write it only where "
        "the rows before the change are kept too, since nothing is known of an item before its "
        "first version.",
    )
    ingested_at = dy.Datetime(
        nullable=True,
        time_unit="us",
        time_zone="UTC",
        description="When this version became known; null means when it came into force.",
    )
    deleted = dy.Bool(
        nullable=True,
        description="Whether the item left the shop with this version; null means it did not.",
    )

    @dy.rule()
    def versions_of_an_item_differ_in_time(cls) -> pl.Expr:  # noqa: N805
        """No two rows of an item have one updated_at and ingested_at."""
        return pl.struct("item_id", "updated_at", "ingested_at").is_unique()
