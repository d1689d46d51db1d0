"""The catalogue: what items are, and what the shop says of them."""

from dataclasses import dataclass
from datetime import UTC, datetime, time

import numpy as np
import polars as pl

from data_contracts.items import Items
from recsys.datasets.simulation.words.families import BRANDS, CATEGORIES, FAMILIES
from recsys.datasets.simulation.words.grammar import ItemText, write_texts
from recsys.datasets.simulation.words.occasions import OCCASIONS
from recsys.datasets.simulation.words.styles import STYLES
from recsys.datasets.simulation.world.settings import SimulationSettings, arrivals
from recsys.datasets.simulation.world.truth import BRAND, TruthItems

DAY_US = 86_400_000_000

_OPENING_STREAM, _DAILY_STREAM = 1, 2
_UNBRANDED_SHARE = 0.05
_WITHOUT_OCCASION_SHARE = 0.25
_BRANDS_PER_CATEGORY = 14

FAMILY_CATEGORY = np.array([CATEGORIES.index(family.category) for family in FAMILIES])
_FAMILY_PRICE = np.array([family.price for family in FAMILIES])
_CONSUMABLE = np.array([family.consumable for family in FAMILIES])


@dataclass(frozen=True)
class SimulatedCatalogue:
    """All items the shop ever lists, in the order they are listed in; arrays are [n_items].

    Attributes:
        family: int, index into `FAMILIES`.
        style: int, index into `STYLES`.
        occasion: int, index into `OCCASIONS`; -1 for none.
        brand: int, index into `BRANDS`; -1 for none.
        quality: float, what everybody likes about it, mean 0.
        fame: float, relative weight among popular items before anyone clicks.
        price: float, in the shop's currency.
        price_ratio: float, log of the price against the family's usual one.
        listed_us: int, microseconds since the epoch.
        consumable: bool, whether people buy it again.
        texts: One per item.
    """

    family: np.ndarray
    style: np.ndarray
    occasion: np.ndarray
    brand: np.ndarray
    quality: np.ndarray
    fame: np.ndarray
    price: np.ndarray
    price_ratio: np.ndarray
    listed_us: np.ndarray
    consumable: np.ndarray
    texts: list[ItemText]


def item_ids(index: np.ndarray) -> pl.Series:
    """Give the identifiers of items by index."""
    number = pl.Series(index).cast(pl.String).str.zfill(6)
    return ("i" + number).alias(Items.item_id.name)


def day_start_us(settings: SimulationSettings, day: int) -> int:
    """Give the first instant of a day of the log, in microseconds since the epoch."""
    midnight = datetime.combine(settings.start, time(), UTC)
    return round(midnight.timestamp()) * 1_000_000 + day * DAY_US


def make_catalogue(settings: SimulationSettings) -> SimulatedCatalogue:
    """Make the opening catalogue and every day's new items."""
    batches = [_batch(settings, settings.items, None)]
    for day in range(settings.days):
        known = arrivals(settings.items, settings.new_items_per_day, day)
        fresh = arrivals(settings.items, settings.new_items_per_day, day + 1) - known
        if fresh:
            batches.append(_batch(settings, fresh, day))
    return SimulatedCatalogue(
        family=np.concatenate([batch.family for batch in batches]),
        style=np.concatenate([batch.style for batch in batches]),
        occasion=np.concatenate([batch.occasion for batch in batches]),
        brand=np.concatenate([batch.brand for batch in batches]),
        quality=np.concatenate([batch.quality for batch in batches]),
        fame=np.concatenate([batch.fame for batch in batches]),
        price=np.concatenate([batch.price for batch in batches]),
        price_ratio=np.concatenate([batch.price_ratio for batch in batches]),
        listed_us=np.concatenate([batch.listed_us for batch in batches]),
        consumable=np.concatenate([batch.consumable for batch in batches]),
        texts=[text for batch in batches for text in batch.texts],
    )


def _batch(settings: SimulationSettings, count: int, day: int | None) -> SimulatedCatalogue:
    stream = (_OPENING_STREAM,) if day is None else (_DAILY_STREAM, day)
    rng = np.random.default_rng((settings.seed, *stream))
    family = rng.integers(len(FAMILIES), size=count)
    category = FAMILY_CATEGORY[family]
    style = _pick(_STYLE_SHARES[category], rng)
    occasion = _pick(_OCCASION_SHARES[category], rng)
    occasion[rng.random(count) < _WITHOUT_OCCASION_SHARE] = -1
    brand = _CATEGORY_BRANDS[category, rng.integers(_BRANDS_PER_CATEGORY, size=count)]
    brand[rng.random(count) < _UNBRANDED_SHARE] = -1
    price_ratio = rng.normal(0, 0.35, count)
    if day is None:
        age_days = rng.exponential(150, count).clip(0.5, 900)
        listed = day_start_us(settings, 0) - age_days * DAY_US
    else:
        listed = day_start_us(settings, day) + rng.uniform(6 / 24, 18 / 24, count) * DAY_US
    price = np.round(_FAMILY_PRICE[family] * np.exp(price_ratio), 1) - 0.01
    return SimulatedCatalogue(
        family=family,
        style=style,
        occasion=occasion,
        brand=brand,
        quality=rng.normal(0, 0.4, count),
        fame=rng.lognormal(0, 1.0, count),
        price=np.round(price, 2),
        price_ratio=price_ratio,
        listed_us=listed.astype(np.int64),
        consumable=_CONSUMABLE[family],
        texts=write_texts(family, style, occasion, rng),
    )


def _pick(shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw one column per row of `shares` (float [n, k], rows sum to 1); int [n]."""
    draw = rng.random((len(shares), 1))
    return np.minimum((shares.cumsum(axis=1) <= draw).sum(axis=1), shares.shape[1] - 1)


def _shares(weights: list[list[float]]) -> np.ndarray:
    array = np.array(weights)
    return array / array.sum(axis=1, keepdims=True)


_STYLE_SHARES = _shares(
    [[0.12 if name in style.rare_in else 1.0 for style in STYLES] for name in CATEGORIES]
)
_OCCASION_SHARES = _shares(
    [
        [1.0 if name in occasion.frequent_in else 0.1 for occasion in OCCASIONS]
        for name in CATEGORIES
    ]
)
# Neighbouring categories share half their brands: int [n_categories, brands per category].
_CATEGORY_BRANDS = (
    np.arange(len(CATEGORIES))[:, None] * (_BRANDS_PER_CATEGORY // 2)
    + np.arange(_BRANDS_PER_CATEGORY)
) % len(BRANDS)


def item_table(catalogue: SimulatedCatalogue) -> pl.DataFrame:
    """Give the catalogue as its contract says, with the brand beside it, in listing order."""
    texts = catalogue.texts
    brands = pl.Series(BRANDS)
    return pl.DataFrame(
        [
            item_ids(np.arange(len(texts))),
            pl.Series(Items.title.name, [text.title for text in texts]),
            pl.Series(Items.description.name, [text.description for text in texts], pl.String),
            pl.Series(
                Items.category.name, [CATEGORIES[c] for c in FAMILY_CATEGORY[catalogue.family]]
            ),
            pl.Series(Items.tags.name, [text.tags or None for text in texts], pl.List(pl.String)),
            pl.Series(Items.price.name, catalogue.price),
            as_instants(Items.listed_at.name, catalogue.listed_us),
            pl.Series(Items.updated_at.name, [None] * len(texts), Items.updated_at.dtype),
            brands.gather(pl.Series(catalogue.brand).replace(-1, None)).alias(BRAND),
        ]
    )


def as_instants(name: str, microseconds: np.ndarray) -> pl.Series:
    """Give microseconds since the epoch as UTC times."""
    return pl.Series(name, microseconds, pl.Int64).cast(pl.Datetime("us", "UTC"))


def item_truth(catalogue: SimulatedCatalogue) -> pl.DataFrame:
    """Give what each item is, as `TruthItems` says."""
    styles = pl.Series([style.name for style in STYLES])
    occasions = pl.Series([occasion.name for occasion in OCCASIONS])
    families = pl.Series([family.name for family in FAMILIES])
    return pl.DataFrame(
        [
            item_ids(np.arange(len(catalogue.texts))),
            families.gather(catalogue.family).alias(TruthItems.family.name),
            styles.gather(catalogue.style).alias(TruthItems.style.name),
            occasions.gather(pl.Series(catalogue.occasion).replace(-1, None)).alias(
                TruthItems.occasion.name
            ),
            pl.Series(TruthItems.quality.name, catalogue.quality),
            pl.Series(TruthItems.price_ratio.name, catalogue.price_ratio),
            pl.Series(TruthItems.consumable.name, catalogue.consumable),
        ]
    )
