from dataclasses import asdict
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data_contracts.events import Impressions
from data_contracts.items import Items
from recsys.datasets.simulation.run import simulate
from recsys.datasets.simulation.words.vocabulary import vocabulary
from recsys.datasets.simulation.world.catalogue import day_start_us, make_catalogue
from recsys.datasets.simulation.world.settings import SimulationSettings
from recsys.datasets.simulation.world.versions import ItemVersions, item_table, make_versions
from recsys.workspace.workspace import Workspace

# A fair draw leaves this many standard deviations less than once in a hundred thousand.
SIGMAS = 4.5
STILL = SimulationSettings(
    items=2000,
    new_items_per_day=20,
    days=40,
    price_changes=0,
    title_changes=0,
    deleted=0,
    late_items=0,
)
CATALOGUE = make_catalogue(STILL)
LISTED = len(CATALOGUE.price)


def versions(**shares: float) -> ItemVersions:
    return make_versions(STILL.model_copy(update=shares), CATALOGUE)


def later(made: ItemVersions) -> np.ndarray:
    """Tell the versions after the first of their item."""
    return made.since_us != CATALOGUE.listed_us[made.item]


def test_a_shop_where_nothing_changes_has_a_version_an_item() -> None:
    made = versions()
    assert made.item.tolist() == list(range(LISTED))
    assert (made.known_us == made.since_us).all()
    assert (made.since_us == CATALOGUE.listed_us).all()
    assert not made.deleted.any()


@pytest.mark.parametrize(
    ("kind", "share", "days"),
    [("price_changes", 0.02, 1), ("title_changes", 0.3, 30), ("deleted", 0.1, 30)],
)
def test_items_change_as_often_as_asked(kind: str, share: float, days: int) -> None:
    made = versions(**{kind: share})
    changes = later(made)
    moments = [day_start_us(STILL, day) for day in range(STILL.days)]
    exposed = sum(int((CATALOGUE.listed_us < each).sum()) for each in moments)
    if kind == "deleted":
        exposed -= sum(len(made.deleted_by(each)) for each in moments[:-1])
    p = share / days
    assert abs(changes.sum() - exposed * p) < SIGMAS * np.sqrt(exposed * p * (1 - p))
    same_price = made.price == CATALOGUE.price[made.item]
    same_title = made.title == np.array([text.title for text in CATALOGUE.texts])[made.item]
    assert same_price.all() == (kind != "price_changes")
    assert same_title.all() == (kind != "title_changes")
    assert (made.deleted == changes).all() if kind == "deleted" else not made.deleted.any()


def test_prices_move_around_the_first_one_and_titles_name_the_same_product() -> None:
    made = versions(price_changes=0.02, title_changes=0.3)
    changes = later(made)
    moved = np.log(made.price / CATALOGUE.price[made.item])[changes]
    assert np.abs(moved).max() < 0.7
    assert abs(moved.mean()) < 0.02
    families = vocabulary().families
    for item, title in zip(made.item[changes], made.title[changes], strict=True):
        nouns = families[CATALOGUE.family[item]].nouns
        assert any(noun.lower() in title.lower() for noun in nouns), title


def test_a_version_keeps_what_its_change_left_and_is_the_last_of_a_deleted_item() -> None:
    made = versions(price_changes=0.1, title_changes=0.9, deleted=0.9)
    table = pl.DataFrame(asdict(made)).sort("item", "since_us")
    again = pl.col("item").is_duplicated() & (pl.col("item") == pl.col("item").shift(1))
    before = pl.col("price", "title").shift(1).name.prefix("last_")
    after = table.with_columns(before, again.alias("again")).filter("again")
    one = (pl.col("price") == pl.col("last_price")) != (pl.col("title") == pl.col("last_title"))
    assert after.filter(one).height > 0.5 * after.height
    last = ~pl.col("item").is_last_distinct()
    assert table.filter(last)["deleted"].sum() == 0
    assert table["deleted"].sum() > 0.5 * STILL.items


def test_one_kind_of_change_leaves_the_others_as_they_are() -> None:
    every = versions(price_changes=0.05, title_changes=0.5, deleted=0.3, late_items=0.2)
    punctual = versions(price_changes=0.05, title_changes=0.5, deleted=0.3)
    for name, values in asdict(punctual).items():
        if name != "known_us":
            assert (values == asdict(every)[name]).all()
    alone = versions(deleted=0.3)
    gone = np.stack([every.item[every.deleted], every.since_us[every.deleted]])
    assert (gone == np.stack([alone.item[alone.deleted], alone.since_us[alone.deleted]])).all()


def test_late_records_are_those_of_new_items_and_changes_by_minutes_to_days() -> None:
    made = versions(price_changes=0.05, late_items=0.2)
    late = made.known_us > made.since_us
    assert not late[: STILL.items].any()
    n, p = len(late) - STILL.items, 0.2
    assert abs(late.sum() - n * p) < SIGMAS * np.sqrt(n * p * (1 - p))
    minutes = (made.known_us - made.since_us)[late] / 60e6
    assert minutes.min() >= 1
    assert minutes.max() <= 7 * 24 * 60
    assert 180 < np.median(minutes) < 300


def test_price_in_force_is_that_of_the_last_version_by_then() -> None:
    made = versions(price_changes=0.3, deleted=0.3)
    assert (made.price_at(made.item, made.since_us) == made.price).all()
    table = pl.DataFrame(asdict(made)).sort("item", "since_us")
    previous = table.with_columns(pl.col("price").shift(1).over("item")).drop_nulls("price")
    just_before = previous["since_us"].to_numpy() - 1
    found = made.price_at(previous["item"].to_numpy(), just_before)
    assert (found == previous["price"].to_numpy()).all()


def test_items_of_the_opening_are_known_always_and_new_ones_from_their_listing() -> None:
    settings = STILL.model_copy(update={"price_changes": 0.9, "title_changes": 0.9, "deleted": 0.9})
    table = item_table(CATALOGUE, make_versions(settings, CATALOGUE), settings)
    keys = [Items.item_id.name, Items.updated_at.name]
    assert table.select(pl.struct(keys).is_unique().all()).item()
    first = table.unique(Items.item_id.name, keep="first", maintain_order=True)
    opening = first.head(STILL.items)
    assert opening[Items.updated_at.name].null_count() == STILL.items
    fresh = first.tail(-STILL.items)
    assert fresh[Items.updated_at.name].equals(fresh[Items.listed_at.name], null_equal=False)
    assert table[Items.ingested_at.name].count() == 0


def test_a_shop_that_everything_leaves_goes_on_with_what_fills_its_slates(tmp_path: Path) -> None:
    settings = SimulationSettings(
        items=12, new_items_per_day=0, days=80, requests_per_day=3, slate_size=3, deleted=0.9
    )
    report = simulate(tmp_path / "shop", settings)
    assert report.deleted_items == 12 - 2 * 3
    shown = Workspace.open(report.path).scan("impressions").collect()
    slates = shown.group_by(Impressions.request_id.name).agg(Impressions.item_id.col.n_unique())
    assert (slates[Impressions.item_id.name] == 3).all()
