"""The items as arrays."""

import numpy as np
import polars as pl

from data_contracts.items import Items
from features.arrays.key_index import MISSING
from features.log.catalogue import PRICE_BAND, Catalogue, price_bands
from tests.features.worlds import BAND, WEIGHT, items_table


def test_text_becomes_codes_and_numbers_stay_numbers() -> None:
    catalogue = Catalogue.of(items_table().collect(), ("category", PRICE_BAND, "weight"))
    assert set(catalogue.attributes) == {"category", PRICE_BAND}
    assert catalogue.values["category"] == ["a", "b", "c"]
    np.testing.assert_array_equal(catalogue.attributes["category"], [0, 0, 1, MISSING, 2])
    assert [*catalogue.numbers] == ["weight"]
    np.testing.assert_array_equal(
        catalogue.numbers["weight"],
        [np.nan if weight is None else weight for weight in WEIGHT.values()],
    )


def test_blank_texts_are_no_values() -> None:
    table = (
        items_table()
        .collect()
        .with_columns(
            pl.Series("category", ["a", "", "\u200b\ufeff", None, "b"]),
            pl.Series("tags", [["x", "\u3164"], [" "], [], None, ["y"]]),
        )
    )
    blank = Catalogue.of(table, ("category", "tags"))
    assert blank.values["category"] == ["a", "b"]
    np.testing.assert_array_equal(blank.attributes["category"], [0, MISSING, MISSING, MISSING, 1])
    np.testing.assert_array_equal(blank.lists["tags"].offsets, [0, 1, 1, 1, 1, 2])
    assert blank.lists["tags"].n_values == len("xy")


def test_price_bands_double_and_begin_where_the_one_before_ends() -> None:
    items = items_table().collect()
    assert price_bands(items).to_list() == [*BAND.values()]
    below_8 = float(np.nextafter(8.0, 0.0))
    prices = [0.0, 0.25, 0.3, 0.5, below_8, 8.0, 15.99, 16.0, None]
    table = pl.DataFrame({Items.price.name: prices})
    assert price_bands(table).to_list() == [
        "0",
        "0.25 to 0.5",
        "0.25 to 0.5",
        "0.5 to 1",
        "4 to 8",
        "8 to 16",
        "8 to 16",
        "16 to 32",
        None,
    ]


def test_lists_hold_each_value_of_an_item_once() -> None:
    tags = Catalogue.of(items_table().collect(), ("tags",)).lists["tags"]
    np.testing.assert_array_equal(tags.offsets, [0, 2, 4, 4, 4, 5])
    np.testing.assert_array_equal(tags.codes, [0, 1, 1, 2, 0])
    place, value = tags.of_items(np.array([4, MISSING, 2, 1]))
    np.testing.assert_array_equal(place, [0, 3, 3])
    np.testing.assert_array_equal(value, [0, 1, 2])
    np.testing.assert_allclose(tags.shares, [(2 + 1) / 8, (2 + 1) / 8, (1 + 1) / 8])
