"""Contracts of the truth tables, which no model may read."""

from pathlib import Path

import dataframely as dy

TRUTH_FOLDER = "truth"
SETTINGS_NAME = "settings.json"
"""The settings of the simulation, which give the same workspace again."""
BRAND = "brand"


class TruthImpressions(dy.Schema):
    """One row an impression, in the order of the log.

    `p_click` = `examination` x sigmoid(`utility`); the two others are conditional.
    """

    request_id = dy.String(description="As in the log.")
    item_id = dy.String(description="As in the log.")
    person = dy.String(description="The user behind the request, also when a guest.")
    utility = dy.Float32(description="How well the item fits the user now, in log odds.")
    examination = dy.Float32(description="Probability that the user looks at the position.")
    p_click = dy.Float32(description="Probability of a click.")
    p_cart = dy.Float32(description="Probability of a cart after a click.")
    p_purchase = dy.Float32(description="Probability of a purchase after a cart.")


class TruthExamination(dy.Schema):
    """One row a position."""

    position = dy.Int32(primary_key=True, description="Place in the slate, from 1.")
    examination = dy.Float32(description="Probability that the user looks at it.")


class TruthItems(dy.Schema):
    """One row an item: attributes that only its text shows."""

    item_id = dy.String(primary_key=True, description="As in the catalogue.")
    family = dy.String(description="Kind of product.")
    style = dy.String(description="Look.")
    occasion = dy.String(nullable=True, description="What it is bought for; null for nothing.")
    quality = dy.Float64(description="What everybody likes about it, in log odds.")
    price_ratio = dy.Float64(
        description="Log of the price at the listing, by which users judge it however the price "
        "changes, against the family's usual one."
    )
    consumable = dy.Bool(description="Whether people buy it again.")


class TruthUsers(dy.Schema):
    """One row a user; tastes are in log odds, in the order of the simulation's word lists."""

    user_id = dy.String(primary_key=True, description="As in the log.")
    joined_at = dy.Datetime(
        time_unit="us",
        time_zone="UTC",
        nullable=True,
        description="Day of the first visit; null when before the log.",
    )
    activity = dy.Float32(description="Relative frequency of visits.")
    families = dy.List(dy.Float32(), description="Taste for each kind of product.")
    styles = dy.List(dy.Float32(), description="Taste for each look.")
    occasions = dy.List(dy.Float32(), description="Taste for each occasion.")
    brands = dy.List(dy.Int16(), description="Favourite brands, by index.")
    price_level = dy.Float32(description="Preferred log price against the family's usual one.")
    price_sensitivity = dy.Float32(description="Log odds lost per unit of log price off it.")
    novelty = dy.Float32(description="Log odds gained by items listed within a week.")


class TruthLate(dy.Schema):
    """One row an interaction that became known late; undone by removing its `ingested_at`."""

    event_id = dy.String(description="As in the log.")
    timestamp = dy.Datetime(time_unit="us", time_zone="UTC", description="As in the log.")
    delay_us = dy.Int64(description="From the event to when it became known.", min=1)


class TruthDuplicates(dy.Schema):
    """One row a row of the log that records an interaction again; undone by removing it."""

    event_id = dy.String(description="As in the log.")
    timestamp = dy.Datetime(time_unit="us", time_zone="UTC", description="As in the log.")
    ingested_at = dy.Datetime(time_unit="us", time_zone="UTC", description="As in the log.")


class TruthOrphans(dy.Schema):
    """One row an interaction that names a request the log does not have."""

    event_id = dy.String(description="As in the log.")
    timestamp = dy.Datetime(time_unit="us", time_zone="UTC", description="As in the log.")
    request_id = dy.String(description="The request that showed the item; the log names another.")


class TruthBots(dy.Schema):
    """One row a robot that made a request."""

    user_id = dy.String(primary_key=True, description="As in the log.")
    requests = dy.Int64(description="Slates shown to it.", min=1)
    clicks = dy.Int64(description="What it clicked.", min=0)


def truth_path(workspace: Path, contract: type[dy.Schema]) -> Path:
    """Give the file of a truth table in a workspace."""
    name = contract.__name__.removeprefix("Truth").lower()
    return workspace / TRUTH_FOLDER / f"{name}.parquet"
