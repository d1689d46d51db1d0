"""Requests of one day with their slates and actions, and the rows of the log they become."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from data_contracts.events import Impressions, Interactions
from recsys.datasets.simulation.choice import ChoiceProbabilities
from recsys.datasets.simulation.visits import Visits
from recsys.datasets.simulation.words.grammar import write_query
from recsys.datasets.simulation.world.catalogue import as_instants, identifiers, item_ids
from recsys.datasets.simulation.world.truth import TruthImpressions
from recsys.datasets.simulation.world.users import robot_ids, user_ids
from recsys.datasets.simulation.world.versions import ItemVersions

CLICK, CART, PURCHASE = "click", "cart", "purchase"
HOUSE_POLICY, UNIFORM_POLICY = "house", "uniform"

_LONGEST_DELAY_S = 23.5 * 3600
_LATER_SHARE = 0.2


@dataclass(frozen=True)
class Actions:
    """Clicks, carts and purchases on shown items; arrays are [n_requests, slate_size].

    Attributes:
        clicked: bool.
        carted: bool, only where clicked.
        bought: bool, only where carted.
        delays_us: int [n_requests, slate_size, 3], from the request to click, cart and purchase.
    """

    clicked: np.ndarray
    carted: np.ndarray
    bought: np.ndarray
    delays_us: np.ndarray


@dataclass(frozen=True)
class SlateOutcomes:
    """Requests in order of time, with what was shown and what came of it.

    Attributes:
        visits: The requests.
        slate: int [n_requests, slate_size], items in shown order.
        choices: Probabilities of the actions.
        actions: Actions drawn from them.
        in_shop: Number of items that could be shown.
    """

    visits: Visits
    slate: np.ndarray
    choices: ChoiceProbabilities
    actions: Actions
    in_shop: int


def draw_actions(choices: ChoiceProbabilities, rng: np.random.Generator) -> Actions:
    """Draw the actions of users and their delays."""
    shape = choices.p_click.shape
    clicked = rng.random(shape) < choices.p_click
    carted = clicked & (rng.random(shape) < choices.p_cart)
    bought = carted & (rng.random(shape) < choices.p_purchase)
    click_s = rng.lognormal(np.log(12), 0.8, shape).clip(0.5, 240)
    cart_s = rng.lognormal(np.log(45), 0.8, shape).clip(2, 900)
    soon_s = rng.lognormal(np.log(240), 0.9, shape).clip(20, 3600)
    later = rng.random(shape) < _LATER_SHARE
    buy_s = np.where(later, rng.uniform(3600, 20 * 3600, shape), soon_s)
    after_s = np.cumsum(np.stack([click_s, cart_s, buy_s], axis=-1), axis=-1)
    after_s = np.minimum(after_s, _LONGEST_DELAY_S)
    return Actions(clicked, carted, bought, (after_s * 1e6).astype(np.int64))


def impression_table(outcomes: SlateOutcomes, known_us: np.ndarray) -> pl.DataFrame:
    """Give the rows of impressions, by time, then position.

    Slates of the uniform policy carry their propensity, 1 / `in_shop`: any item is as likely at any
    place. That of the house policy is not known in closed form.

    Args:
        outcomes: Requests of the day.
        known_us: int64 [n_requests], when they became known, microseconds since the epoch.

    Returns:
        One row an impression, as `Impressions` says.
    """
    visits = outcomes.visits
    punctual = pl.Series(known_us == visits.time_us)
    known = as_instants(Impressions.ingested_at.name, known_us).set(punctual, None)
    requests = _request_table(visits, outcomes.in_shop).with_columns(known)
    request, place = np.indices(outcomes.slate.shape)
    rows = requests[request.ravel()].with_columns(
        item_ids(outcomes.slate.ravel()),
        pl.Series(Impressions.position.name, place.ravel() + 1, pl.Int32),
        pl.lit(None, Impressions.weight.dtype).alias(Impressions.weight.name),
    )
    return rows.select(Impressions.column_names())


def _request_table(visits: Visits, in_shop: int) -> pl.DataFrame:
    """Give what all impressions of a request share, one row a request."""
    words = [
        write_query(family, style, occasion, draws) if family >= 0 else None
        for (family, style, occasion), draws in zip(visits.query, visits.query_draws, strict=True)
    ]
    device = pl.when(pl.Series(visits.mobile)).then(pl.lit("mobile")).otherwise(pl.lit("desktop"))
    page = pl.when(pl.Series(visits.query[:, 0] >= 0)).then(pl.lit("search"))
    uniform = pl.Series(visits.uniform)
    return _origins(visits).with_columns(
        as_instants(Impressions.timestamp.name, visits.time_us),
        pl.Series(Impressions.query.name, words, pl.String),
        pl.concat_list(
            pl.struct(key=pl.lit("device"), value=device),
            pl.struct(key=pl.lit("page"), value=page.otherwise(pl.lit("home"))),
        ).alias(Impressions.context.name),
        pl.when(uniform)
        .then(pl.lit(UNIFORM_POLICY))
        .otherwise(pl.lit(HOUSE_POLICY))
        .alias(Impressions.policy.name),
        pl.when(uniform).then(pl.lit(1 / in_shop)).alias(Impressions.propensity.name),
    )


def interaction_table(first: int, outcomes: SlateOutcomes, versions: ItemVersions) -> pl.DataFrame:
    """Give the rows of interactions, by time; some fall on the next day.

    Args:
        first: Number within the day of the first interaction.
        outcomes: Requests of the day.
        versions: What the items cost when.

    Returns:
        One row an interaction, as `Interactions` says; purchases carry the price in force.
    """
    visits, actions = outcomes.visits, outcomes.actions
    kind, request, place = np.nonzero([actions.clicked, actions.carted, actions.bought])
    time_us = visits.time_us[request] + actions.delays_us[request, place, kind]
    order = np.lexsort((kind, place, request, time_us))
    kind, request, place, time_us = (a[order] for a in (kind, request, place, time_us))
    item = outcomes.slate[request, place]
    paid = np.where(kind == 2, versions.price_at(item, time_us), np.nan)
    number = first + np.arange(len(kind))
    rows = _origins(visits)[request].with_columns(
        identifiers(f"e{visits.day:04d}-", number).alias(Interactions.event_id.name),
        pl.Series([CLICK, CART, PURCHASE]).gather(kind).alias(Interactions.kind.name),
        item_ids(item),
        as_instants(Interactions.timestamp.name, time_us),
        pl.Series(Interactions.value.name, paid).fill_nan(None),
        pl.lit(None, Interactions.ingested_at.dtype).alias(Interactions.ingested_at.name),
    )
    return rows.select(Interactions.column_names())


def truth_table(outcomes: SlateOutcomes) -> pl.DataFrame:
    """Give the rows of `TruthImpressions`, aligned with `impression_table`."""
    visits, slate, numbers = outcomes.visits, outcomes.slate, vars(outcomes.choices)
    request = np.repeat(np.arange(len(slate)), slate.shape[1])
    return pl.DataFrame(
        [
            _request_ids(visits).gather(request),
            item_ids(slate.ravel()),
            _persons(visits).gather(request).alias(TruthImpressions.person.name),
            *(pl.Series(name, values.ravel(), pl.Float32) for name, values in numbers.items()),
        ]
    )


def _request_ids(visits: Visits) -> pl.Series:
    return identifiers(f"r{visits.day:04d}-", visits.number).alias(Impressions.request_id.name)


def _persons(visits: Visits) -> pl.Series:
    return robot_ids(visits.user) if visits.robots else user_ids(visits.user)


def _origins(visits: Visits) -> pl.DataFrame:
    """Give the request, user (null for a guest) and session of each request."""
    known = _persons(visits).set(pl.Series(visits.guest), None)
    return pl.DataFrame(
        [
            _request_ids(visits),
            known.alias(Impressions.user_id.name),
            identifiers(f"s{visits.day:04d}-", visits.session).alias(Impressions.session_id.name),
        ]
    )
