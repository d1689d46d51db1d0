"""Versions of the simulated shop's items: new prices and titles, and items that leave."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from data_contracts.items import Items
from recsys.datasets.simulation.words.grammar import write_texts
from recsys.datasets.simulation.words.vocabulary import vocabulary
from recsys.datasets.simulation.world.arrays import concatenate
from recsys.datasets.simulation.world.catalogue import (
    SimulatedCatalogue,
    as_instants,
    day_start_us,
    item_ids,
    round_price,
)
from recsys.datasets.simulation.world.settings import SimulationSettings, arrivals
from recsys.datasets.simulation.world.truth import BRAND

_PRICE_STREAM, _TITLE_STREAM, _DELETED_STREAM, _TIME_STREAM, _LATE_STREAM = range(10, 15)
_MONTH_DAYS = 30
_PRICE_SIGMA = 0.1
# Log-normal: half of the late records come within 4 hours, one in 9 after a day.
_LATE_MEDIAN_S, _LATE_SIGMA = 4 * 3600.0, 1.5
_LATE_RANGE_S = (60.0, 7 * 86_400.0)
_SECOND_US = 1_000_000
# More than any moment has seconds since the epoch.
_SECONDS_OF_AGES = 1 << 36


@dataclass(frozen=True)
class ItemVersions:
    """What each item was from when on, a day's versions after those before; [n_versions].

    Attributes:
        item: int, index into the catalogue.
        since_us: int64, when it came into force, microseconds since the epoch; the listing of the
            item for its first version.
        known_us: int64, when it became known, not before `since_us`.
        price: float, in the shop's currency.
        title: object, the text.
        deleted: bool, whether the item left the shop with it.
    """

    item: np.ndarray
    since_us: np.ndarray
    known_us: np.ndarray
    price: np.ndarray
    title: np.ndarray
    deleted: np.ndarray

    def deleted_by(self, time_us: int) -> np.ndarray:
        """Give the items that have left the shop by then; int."""
        return self.item[self.deleted & (self.since_us <= time_us)]

    def price_at(self, item: np.ndarray, time_us: np.ndarray) -> np.ndarray:
        """Give the prices in force; float64, aligned with items and moments since listing."""
        keys, price = self._prices
        return price[np.searchsorted(keys, self._keys(item, time_us), side="right") - 1]

    @cached_property
    def _prices(self) -> tuple[np.ndarray, np.ndarray]:
        keys = self._keys(self.item, self.since_us)
        order = np.argsort(keys)
        return keys[order], self.price[order]

    @staticmethod
    def _keys(item: np.ndarray, time_us: np.ndarray) -> np.ndarray:
        """Give one int64 an item and second; changes come on whole seconds."""
        return item.astype(np.int64) * _SECONDS_OF_AGES + time_us // _SECOND_US


def make_versions(settings: SimulationSettings, catalogue: SimulatedCatalogue) -> ItemVersions:
    """Make the first version of every item, and what becomes of it during the log.

    An item has at most one new version a day, in force from a whole second on; one that leaves the
    shop leaves at midnight. Every kind of change has random numbers of its own.
    """
    title = np.array([text.title for text in catalogue.texts], dtype=object)
    now = _Now(catalogue.price.copy(), title, np.zeros(len(title), bool))
    opening = np.arange(settings.items)
    parts = [now.versions(opening, catalogue.listed_us[opening], np.zeros_like(opening))]
    for day in range(settings.days):
        listed, end = (
            arrivals(settings.items, settings.new_items_per_day, each) for each in (day, day + 1)
        )
        changed = _change(now, settings, catalogue, day, listed)
        rng = np.random.default_rng((settings.seed, _TIME_STREAM, day))
        second = rng.integers(86_400, size=end)
        second[:listed][now.gone[:listed]] = 0
        since_us = day_start_us(settings, day) + second * _SECOND_US
        since_us[listed:] = catalogue.listed_us[listed:end]
        item = np.append(changed, np.arange(listed, end))
        parts.append(now.versions(item, since_us[item], _delays(settings, day, end)[item]))
    return concatenate(parts)


@dataclass(frozen=True)
class _Now:
    """Price, title and absence of each item as the days go by; changed in place, [n_items]."""

    price: np.ndarray
    title: np.ndarray
    gone: np.ndarray

    def versions(
        self, item: np.ndarray, since_us: np.ndarray, delay_us: np.ndarray
    ) -> ItemVersions:
        values = self.price[item], self.title[item], self.gone[item]
        return ItemVersions(item, since_us, since_us + delay_us, *values)


def _change(
    now: _Now, settings: SimulationSettings, catalogue: SimulatedCatalogue, day: int, listed: int
) -> np.ndarray:
    """Change some of the first `listed` items as they are `now`, and give them; int, ascending."""

    def drawn(stream: int, share: float) -> tuple[np.ndarray, np.random.Generator]:
        rng = np.random.default_rng((settings.seed, stream, day))
        return np.flatnonzero((rng.random(listed) < share) & there), rng

    there = ~now.gone[:listed]
    repriced, rng = drawn(_PRICE_STREAM, settings.price_changes)
    offer = np.exp(rng.normal(0, _PRICE_SIGMA, listed))[repriced]
    now.price[repriced] = round_price(catalogue.price[repriced] * offer)
    retitled, rng = drawn(_TITLE_STREAM, settings.title_changes / _MONTH_DAYS)
    family, style, occasion = catalogue.family, catalogue.style, catalogue.occasion
    texts = write_texts(family[retitled], style[retitled], occasion[retitled], rng)
    now.title[retitled] = [text.title for text in texts]
    removed, _ = drawn(_DELETED_STREAM, settings.deleted / _MONTH_DAYS)
    # A shop goes on with enough to fill its slates.
    removed = removed[: max(np.count_nonzero(there) - 2 * settings.slate_size, 0)]
    now.gone[removed] = True
    return np.unique(np.concatenate([repriced, retitled, removed]))


def _delays(settings: SimulationSettings, day: int, items: int) -> np.ndarray:
    """Draw how long each item's record of the day is under way; int64 [items], microseconds."""
    rng = np.random.default_rng((settings.seed, _LATE_STREAM, day))
    late = rng.random(items) < settings.late_items
    after_s = rng.lognormal(np.log(_LATE_MEDIAN_S), _LATE_SIGMA, items).clip(*_LATE_RANGE_S)
    return np.where(late, (after_s * 1e6).astype(np.int64), 0)


def item_table(
    catalogue: SimulatedCatalogue, versions: ItemVersions, settings: SimulationSettings
) -> pl.DataFrame:
    """Give the rows of `Items` and the brand: the opening catalogue, then as they came into force.

    What was there when the log opened is known always.
    """
    item, words = versions.item, vocabulary()
    texts = catalogue.texts[item]
    categories = [family.category for family in words.families]
    always = pl.Series(versions.since_us < day_start_us(settings, 0))
    late = pl.Series(versions.known_us > versions.since_us)
    rows = pl.DataFrame(
        [
            item_ids(item),
            pl.Series(Items.title.name, versions.title, pl.String),
            pl.Series(Items.description.name, [text.description for text in texts], pl.String),
            pl.Series(Items.category.name, categories).gather(catalogue.family[item]),
            pl.Series(Items.tags.name, [text.tags or None for text in texts], pl.List(pl.String)),
            pl.Series(Items.price.name, versions.price),
            as_instants(Items.listed_at.name, catalogue.listed_us[item]),
            as_instants(Items.updated_at.name, versions.since_us).set(always, None),
            as_instants(Items.ingested_at.name, versions.known_us).set(~late, None),
            pl.Series(Items.deleted.name, versions.deleted),
            pl.Series(words.brands)
            .gather(pl.Series(catalogue.brand[item]).replace(-1, None))
            .alias(BRAND),
        ]
    )
    return rows.sort(Items.updated_at.name, Items.item_id.name)
