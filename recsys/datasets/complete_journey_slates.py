"""Sampled slates of Complete Journey: products of a basket among its store's promotions."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from data_contracts.events import Impressions, Interactions
from data_contracts.progress import Track
from recsys.datasets.ledger import Ledger, Tally
from recsys.datasets.parquet import SourceColumn, read_source
from recsys.datasets.sampling import as_impressions, draw_uniform, slate_generator

STORE = "store_id"
WEEK = "week"

_BASKET = Interactions.session_id
_USER = Interactions.user_id
_TIME = Interactions.timestamp
_ITEM = Interactions.item_id
_REQUEST = Impressions.request_id
_DISPLAY = "display_location"
_MAILER = "mailer_location"
_NONE = "0"
_POOL = "pool"
_POOL_SIZE = "promoted in the store"

_PROMOTION_COLUMNS: dict[str, SourceColumn] = {
    STORE: (pl.Int32, STORE),
    WEEK: (pl.Int32, WEEK),
    _ITEM.name: (pl.Int64, "product_id"),
    _DISPLAY: (pl.Categorical, _DISPLAY),
    _MAILER: (pl.Categorical, _MAILER),
}


def read_promotions(path: Path, no_products: pl.Series) -> tuple[pl.DataFrame, Ledger]:
    """Read what each store promoted each week, by display or mailer.

    Args:
        path: The file of promotions.
        no_products: Ids that are no products.

    Returns:
        One row a store and week, in their order, with the different products promoted, ascending;
        and what became of each row of the file.
    """
    rows = read_source(path, _PROMOTION_COLUMNS)
    tally = Tally("promotions", {path.name: rows.height})
    nowhere = (pl.col(_DISPLAY) == _NONE) & (pl.col(_MAILER) == _NONE)
    rows = tally.set_aside(rows, nowhere, "neither display nor mailer (code 0)")
    is_none = _ITEM.col.is_in(no_products.implode())
    rows = tally.set_aside(rows, is_none, "no product (fuel, coupon, ...)")
    keys = [STORE, WEEK, _ITEM.name]
    rows = rows.select(keys).sort(keys)
    again = pl.all_horizontal(pl.col(key) == pl.col(key).shift(1) for key in keys)
    rows = tally.set_aside(rows, again, "product, store and week that stand in an earlier row")
    pools = rows.group_by(STORE, WEEK, maintain_order=True).agg(_ITEM.col)
    return pools, tally.close(rows.height)


def draw_slates(
    lines: pl.DataFrame,
    pools: pl.DataFrame,
    *,
    max_slates: int,
    slate_size: int,
    seed: int,
    track: Track,
) -> tuple[pl.DataFrame, Ledger]:
    """Draw slates for baskets of households that have an earlier one.

    A slate holds what the basket has of the products its store promoted that week, filled up with
    others of them, drawn uniformly.

    Args:
        lines: One row a basket and product, in order of time.
        pools: The promotions, as `read_promotions` gives them.
        max_slates: Slates at the most.
        slate_size: Candidates of a slate at the most.
        seed: Seed of all draws.
        track: Shows progress.

    Returns:
        Rows of impressions, and what became of each basket.
    """
    pools = pools.with_row_index(_POOL)
    baskets = _baskets(lines, pools)
    tally = Tally("baskets", {"the lines kept": baskets.height})
    first = _TIME.col == _TIME.col.min().over(_USER.name)
    baskets = tally.set_aside(baskets, first, "first basket of its household: no slate")
    baskets = tally.set_aside(baskets, pl.col(_POOL).is_null(), "store without promotions")
    bought = _ITEM.col.list.len().fill_null(0)
    baskets = tally.set_aside(baskets, bought == 0, "nothing of it was promoted")
    baskets = tally.set_aside(baskets, bought == pl.col(_POOL_SIZE), "nothing else was promoted")
    places = np.arange(baskets.height)
    lucky = draw_uniform(np.random.default_rng(seed), places, max_slates)
    unlucky = pl.Series(~np.isin(places, lucky))
    baskets = tally.set_aside(baskets, pl.lit(unlucky), f"not among the {max_slates} drawn")
    many = f"more than {slate_size // 2} promoted products: so many drawn for the slate"
    tally.changed(baskets, bought > slate_size // 2, many)
    products = pools[_ITEM.name].explode().unique().sort()
    slates = list(_draw(baskets, pools, products.to_numpy(), slate_size, seed, track))
    requests = baskets.select(
        _REQUEST.name, _USER.col.cast(pl.String), _BASKET.col.cast(pl.String), _TIME.name
    )
    return as_impressions(requests, slates, products.cast(pl.String)), tally.close(baskets.height)


def _baskets(lines: pl.DataFrame, pools: pl.DataFrame) -> pl.DataFrame:
    """One row a basket, in order of time, with the products of it that its store promoted."""
    keys = [STORE, WEEK, _ITEM.name]
    promoted = (
        pools.lazy()
        .select(keys)
        .explode(_ITEM.name)
        .join(lines.lazy().select(keys).unique(), on=keys, how="semi")
        .collect(engine="streaming")
    )
    bought = lines.join(promoted, on=keys, how="semi").group_by(_BASKET.name).agg(_ITEM.col.sort())
    sizes = pools.select(STORE, WEEK, _POOL, _ITEM.col.list.len().alias(_POOL_SIZE))
    return (
        lines.group_by(_BASKET.name)
        .agg(pl.col(_USER.name, _TIME.name, STORE, WEEK).first())
        .join(sizes, on=[STORE, WEEK], how="left")
        .join(bought, on=_BASKET.name, how="left")
        .sort(_TIME.name, _BASKET.name)
        .with_columns(pl.format("slate-{}", _BASKET.col).alias(_REQUEST.name))
    )


def _draw(
    baskets: pl.DataFrame,
    pools: pl.DataFrame,
    products: np.ndarray,
    slate_size: int,
    seed: int,
    track: Track,
) -> Iterator[np.ndarray]:
    """Give each basket's slate as places in `products`, in the order shown."""
    ends = np.cumsum(pools[_ITEM.name].list.len().to_numpy())
    promoted = pools[_ITEM.name].explode().to_numpy()
    rows = zip(baskets[_REQUEST.name], baskets[_POOL], baskets[_ITEM.name], strict=True)
    for request_id, pool, bought in track(rows, "sampling slates", baskets.height):
        rng = slate_generator(seed, request_id)
        in_store = promoted[(ends[pool - 1] if pool else 0) : ends[pool]]
        others = np.setdiff1d(in_store, bought.to_numpy(), assume_unique=True)
        chosen = draw_uniform(rng, bought.to_numpy(), slate_size // 2)
        filled = draw_uniform(rng, others, slate_size - chosen.size)
        slate = rng.permutation(np.concatenate((chosen, filled)))
        yield np.searchsorted(products, slate)
