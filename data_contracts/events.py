"""Contracts of the log's tables: impressions and interactions."""

import dataframely as dy
import polars as pl

_CONTEXT = dy.Struct({"key": dy.String(nullable=False), "value": dy.String(nullable=False)})


class Impressions(dy.Schema):
    """One row a candidate shown (or sampled) in a request."""

    request_id = dy.String(
        primary_key=True, min_length=1, description="The ranking call this row belongs to."
    )
    item_id = dy.String(primary_key=True, min_length=1, description="The candidate.")
    user_id = dy.String(nullable=True, description="Who was shown it; null for a guest.")
    session_id = dy.String(nullable=True, description="The visit.")
    position = dy.Int32(nullable=False, min=1, description="Place in the slate, from 1.")
    timestamp = dy.Datetime(
        nullable=False,
        time_unit="us",
        time_zone="UTC",
        description="Moment of the request, the same for all its rows.",
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

    event_id = dy.String(
        primary_key=True,
        min_length=1,
        description="Identifier; a repeat on the same UTC day is a duplicate.",
    )
    kind = dy.String(
        nullable=False, min_length=1, description="What the user did: click, cart, purchase."
    )
    user_id = dy.String(nullable=True, description="Who did it; null for a guest.")
    session_id = dy.String(nullable=True, description="The visit, basket or invoice.")
    item_id = dy.String(nullable=False, min_length=1, description="With which item.")
    request_id = dy.String(
        nullable=True, description="The request that showed it, when the caller knows."
    )
    timestamp = dy.Datetime(
        primary_key=True, time_unit="us", time_zone="UTC", description="Event time."
    )
    value = dy.Float64(
        nullable=True, description="Price paid for one unit.", metadata={"unit": "currency"}
    )
    ingested_at = dy.Datetime(
        nullable=True,
        time_unit="us",
        time_zone="UTC",
        description="When the event became known; null means at its event time.",
    )
