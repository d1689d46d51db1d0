"""Contract of the items table."""

import dataframely as dy

from data_contracts.names import IdColumn


class Items(dy.Schema):
    """One row an item; further columns are attributes that `recsys.toml` declares."""

    item_id = IdColumn("Identifier, unique in the catalogue.", primary_key=True)
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
        description="Last change of the item's text or attributes.",
    )
