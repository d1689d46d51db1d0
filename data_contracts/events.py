"""Contracts of the log's tables: impressions and interactions."""

import dataframely as dy
import polars as pl

from data_contracts.names import IdColumn

LARGEST_VALUE = 1e9
"""Sums are kept in millionths as 64-bit integers: nine thousand such values still fit."""

_CONTEXT = dy.Struct({"key": dy.String(nullable=False), "value": dy.String(nullable=False)})


class Impressions(dy.Schema):
    """One row a candidate shown (or sampled) in a request."""

    request_id = IdColumn("The ranking call this row belongs to.", primary_key=True)
    item_id = IdColumn("The candidate.", primary_key=True)
    user_id = IdColumn("Who was shown it; null for a guest.", nullable=True)
    session_id = IdColumn("The visit.", nullable=True)
    position = dy.Int32(nullable=False, min=1, description="Place in the slate, from 1.")
    timestamp = dy.Datetime(
        nullable=False,
        time_unit="us",
        time_zone="UTC",
        description="Moment of the request, the same for all its rows.",
    )
    ingested_at = dy.Datetime(
        nullable=True,
        time_unit="us",
        time_zone="UTC",
        description="When it became known that this was shown; null means at the request.",
    )
    query = dy.String(nullable=True, description="What the user searched for.")
    context = dy.List(
        _CONTEXT,
        nullable=True,
        description="What the caller knew at request time, as key and value.",
    )
    policy = dy.String(nullable=True, description="The arm that made the slate.")
    propensity = dy.Float64(
        nullable=True,
        min_exclusive=0,
        max=1,
        description="Probability that the policy showed this item here.",
        metadata={"unit": "1"},
    )
    weight = dy.Float64(
        nullable=True,
        min_exclusive=0,
        max=LARGEST_VALUE,
        description="How many showings this row stands for, in an aggregated log; null means one.",
        metadata={"unit": "showings"},
    )

    @dy.rule()
    def request_has_one_user_and_time(cls) -> pl.Expr:  # noqa: N805
        """All rows of a request carry the same user and timestamp."""
        same_time = pl.col("timestamp").min() == pl.col("timestamp").max()
        user = pl.col("user_id").fill_null("")
        return (same_time & (user.min() == user.max())).over("request_id")

    @dy.rule()
    def positions_differ_within_a_request(cls) -> pl.Expr:  # noqa: N805
        """No two rows of a request have one position."""
        return pl.struct("request_id", "position").is_unique()


class Interactions(dy.Schema):
    """One row a click, cart, purchase or another kind the workspace declares."""

    event_id = IdColumn(
        "Identifier; a repeat on the same UTC day is a duplicate, of the same kind, item and user.",
        primary_key=True,
    )
    kind = dy.String(
        nullable=False, min_length=1, description="What the user did: click, cart, purchase."
    )
    user_id = IdColumn("Who did it; null for a guest.", nullable=True)
    session_id = IdColumn("The visit, basket or invoice.", nullable=True)
    item_id = IdColumn("With which item.")
    request_id = IdColumn("The request that showed it, when the caller knows.", nullable=True)
    timestamp = dy.Datetime(
        primary_key=True, time_unit="us", time_zone="UTC", description="Event time."
    )
    value = dy.Float64(
        nullable=True,
        min=-LARGEST_VALUE,
        max=LARGEST_VALUE,
        description="Price paid for one unit.",
        metadata={"unit": "currency"},
    )
    ingested_at = dy.Datetime(
        nullable=True,
        time_unit="us",
        time_zone="UTC",
        description="When the event became known; null means at its event time.",
    )
