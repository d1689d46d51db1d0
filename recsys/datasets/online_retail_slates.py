"""Sampled slates of Online Retail II: items of an invoice among popular and random ones."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from data_contracts.events import Impressions, Interactions
from data_contracts.progress import Track
from recsys.datasets.ledger import Ledger, Tally
from recsys.datasets.sampling import (
    SalesWindow,
    as_impressions,
    draw_uniform,
    draw_weighted,
    slate_generator,
)

DAY = 24 * 3600 * 1_000_000
ON_SALE_DAYS = 90
POPULAR_DAYS = 30
MOST_BOUGHT = 20
NEGATIVES = 80

_REQUEST = Impressions.request_id
_SESSION = Interactions.session_id
_USER = Interactions.user_id
_TIME = Interactions.timestamp
_ITEM = Interactions.item_id
_NUMBER = "item number"


def draw_slates(purchases: pl.DataFrame, *, seed: int, track: Track) -> tuple[pl.DataFrame, Ledger]:
    """Draw a slate for every invoice of a customer who has an earlier one.

    A slate holds up to 20 of its items and 80 others, half drawn by their sales lines of the last
    30 days and half uniformly. Every candidate was sold in the 90 days before, or "never sold"
    would mark what was bought.

    Args:
        purchases: One row an invoice and item, in order of time.
        seed: Seed of the draws.
        track: Shows progress.

    Returns:
        Rows of impressions, and what became of each invoice.
    """
    item_ids = purchases[_ITEM.name].unique().sort()
    number = _ITEM.col.rank("dense").cast(pl.Int64) - 1
    purchases = purchases.with_columns(number.alias(_NUMBER))
    requests = (
        purchases.group_by(_SESSION.name, maintain_order=True)
        .agg(_USER.col.first(), _TIME.col.first(), pl.col(_NUMBER))
        .with_columns(pl.format("slate-{}", _SESSION.col).alias(_REQUEST.name))
    )
    tally = Tally("invoices", {"the lines kept": requests.height})
    no_user = _USER.col.is_null()
    requests = tally.set_aside(requests, no_user, "no customer: no slate")
    earliest = _TIME.col == _TIME.col.min().over(_USER.name)
    requests = tally.set_aside(requests, earliest, "first invoice of its customer: no slate")
    draws = list(_draw(purchases, requests, item_ids.len(), seed, track))
    fields = [_REQUEST.name, _USER.name, _SESSION.name, _TIME.name]
    requests = requests.select(
        *fields,
        pl.Series("on sale", [on_sale for _, on_sale in draws], dtype=pl.Int64),
        pl.Series("candidates", [slate.size for slate, _ in draws], dtype=pl.Int64),
    )
    none, empty = pl.col("on sale") == 0, pl.col("candidates") == 0
    requests = tally.set_aside(requests, none, "no item of it sold in the 90 days before")
    requests = tally.set_aside(requests, empty, "nothing else sold in the 90 days before")
    many = pl.col("on sale") > MOST_BOUGHT
    tally.changed(requests, many, f"more than {MOST_BOUGHT} items: so many drawn for the slate")
    kept = [slate for slate, _ in draws if slate.size]
    return as_impressions(requests.select(fields), kept, item_ids), tally.close(requests.height)


def _draw(
    purchases: pl.DataFrame, requests: pl.DataFrame, n_items: int, seed: int, track: Track
) -> Iterator[tuple[np.ndarray, int]]:
    times = purchases[_TIME.name].to_physical().to_numpy()
    items = purchases[_NUMBER].to_numpy()
    on_sale = SalesWindow(times, items, n_items, ON_SALE_DAYS * DAY)
    popular = SalesWindow(times, items, n_items, POPULAR_DAYS * DAY)
    rows = zip(
        requests[_REQUEST.name],
        requests[_TIME.name].to_physical(),
        requests[_NUMBER],
        strict=True,
    )
    for request_id, moment, bought in track(rows, "sampling slates", requests.height):
        rng = slate_generator(seed, request_id)
        yield _draw_one(rng, bought.to_numpy(), on_sale.before(moment), popular.before(moment))


def _draw_one(
    rng: np.random.Generator, bought: np.ndarray, sales: np.ndarray, recent_sales: np.ndarray
) -> tuple[np.ndarray, int]:
    """Draw the slate of an invoice, empty for none, and count its items sold before."""
    positives = bought[sales[bought] > 0]
    pool = sales > 0
    pool[bought] = False
    others = np.flatnonzero(pool)
    if not positives.size or not others.size:
        return np.empty(0, dtype=np.int64), positives.size
    popular = draw_weighted(rng, others, recent_sales[others], NEGATIVES // 2)
    pool[popular] = False
    uniform = draw_uniform(rng, np.flatnonzero(pool), NEGATIVES - popular.size)
    chosen = draw_uniform(rng, positives, MOST_BOUGHT)
    return rng.permutation(np.concatenate((chosen, popular, uniform))), positives.size
