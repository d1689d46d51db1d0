"""Items of the simulated shop: attributes, first prices and texts, and their truth."""

from dataclasses import dataclass
from datetime import UTC, datetime, time

import numpy as np
import polars as pl

from data_contracts.items import Items
from recsys.datasets.simulation.words.grammar import write_texts
from recsys.datasets.simulation.words.vocabulary import vocabulary
from recsys.datasets.simulation.world.arrays import concatenate
from recsys.datasets.simulation.world.settings import (
    BEFORE_THE_LOG,
    SimulationSettings,
    arrivals_by_day,
)
from recsys.datasets.simulation.world.truth import TruthItems

DAY_US = 86_400_000_000

_OPENING_STREAM, _DAILY_STREAM = 1, 2
_UNBRANDED_SHARE = 0.05
_WITHOUT_OCCASION_SHARE = 0.25
_BRANDS_PER_CATEGORY = 14


@dataclass(frozen=True)
class SimulatedCatalogue:
    """All items the shop ever lists, in the order they are listed in; arrays are [n_items].

    Attributes:
        family: int, index into the vocabulary's families.
        style: int, index into its styles.
        occasion: int, index into its occasions; -1 for none.
        brand: int, index into its brands; -1 for none.
        quality: float, log odds that every user adds, mean 0.
        fame: float, weight among popular items before anyone clicks, in clicks.
        price: float, at the listing, in the shop's currency.
        price_ratio: float, log of that price against the family's usual one.
        listed_us: int, microseconds since the epoch.
        consumable: bool, whether people buy it again.
        texts: object, the `ItemText` of each.
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
    texts: np.ndarray


def identifiers(prefix: str, numbers: np.ndarray) -> pl.Series:
    """Give the prefix and a number of at least six digits for each number."""
    return prefix + pl.Series(numbers).cast(pl.String).str.zfill(6)


def item_ids(index: np.ndarray) -> pl.Series:
    """Give the identifiers of items by index."""
    return identifiers("i", index).alias(Items.item_id.name)


def day_start_us(settings: SimulationSettings, day: int) -> int:
    """Give the first instant of a day of the log, in microseconds since the epoch."""
    midnight = datetime.combine(settings.start, time(), UTC)
    return round(midnight.timestamp()) * 1_000_000 + day * DAY_US


def make_catalogue(settings: SimulationSettings) -> SimulatedCatalogue:
    """Make the opening catalogue and every day's new items."""
    days = arrivals_by_day(settings.items, settings.new_items_per_day, settings.days)
    return concatenate([_batch(settings, count, day) for day, count in days])


def _batch(settings: SimulationSettings, count: int, day: int) -> SimulatedCatalogue:
    stream = (_OPENING_STREAM,) if day == BEFORE_THE_LOG else (_DAILY_STREAM, day)
    rng = np.random.default_rng((settings.seed, *stream))
    words = vocabulary()
    family = rng.integers(len(words.families), size=count)
    category = words.family_category[family]
    rare = [[name in style.rare_in for style in words.styles] for name in words.categories]
    style = _pick(np.where(rare, 0.12, 1.0), category, rng)
    frequent = [[name in each.frequent_in for each in words.occasions] for name in words.categories]
    occasion = _pick(np.where(frequent, 1.0, 0.1), category, rng)
    occasion[rng.random(count) < _WITHOUT_OCCASION_SHARE] = -1
    # Neighbouring categories share half their brands.
    brand = category * (_BRANDS_PER_CATEGORY // 2) + rng.integers(_BRANDS_PER_CATEGORY, size=count)
    brand %= len(words.brands)
    brand[rng.random(count) < _UNBRANDED_SHARE] = -1
    price_ratio = rng.normal(0, 0.35, count)
    if day == BEFORE_THE_LOG:
        age_days = rng.exponential(150, count).clip(0.5, 900)
        listed = day_start_us(settings, 0) - age_days * DAY_US
    else:
        listed = day_start_us(settings, day) + rng.uniform(6 / 24, 18 / 24, count) * DAY_US
    usual_price = np.array([each.price for each in words.families])[family]
    return SimulatedCatalogue(
        family=family,
        style=style,
        occasion=occasion,
        brand=brand,
        quality=rng.normal(0, 0.4, count),
        fame=rng.lognormal(0, 1.0, count),
        price=round_price(usual_price * np.exp(price_ratio)),
        price_ratio=price_ratio,
        listed_us=listed.astype(np.int64),
        consumable=np.array([each.consumable for each in words.families])[family],
        texts=np.array(write_texts(family, style, occasion, rng), dtype=object),
    )


def round_price(price: np.ndarray) -> np.ndarray:
    """Round prices as shops do, to one cent below ten; float64."""
    below = np.round(price, 1) - 0.01
    return np.round(below, 2)


def _pick(weights: np.ndarray, category: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw one column per category by its row of weights, float [n_categories, k]; int [n]."""
    shares = (weights / weights.sum(axis=1, keepdims=True))[category]
    draw = rng.random((len(shares), 1))
    return np.minimum((shares.cumsum(axis=1) <= draw).sum(axis=1), shares.shape[1] - 1)


def as_instants(name: str, microseconds: np.ndarray) -> pl.Series:
    """Give microseconds since the epoch as UTC times."""
    return pl.Series(name, microseconds, pl.Int64).cast(pl.Datetime("us", "UTC"))


def item_truth(catalogue: SimulatedCatalogue) -> pl.DataFrame:
    """Give the rows of `TruthItems`."""
    words = vocabulary()
    styles = pl.Series([style.name for style in words.styles])
    occasions = pl.Series([occasion.name for occasion in words.occasions])
    families = pl.Series([family.name for family in words.families])
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
