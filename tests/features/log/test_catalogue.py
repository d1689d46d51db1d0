"""The items as arrays."""

import numpy as np
import polars as pl

from data_contracts.items import Items
from features.arrays.clock import DAY
from features.arrays.key_index import MISSING
from features.log.catalogue import LoggedCatalogue
from features.log.item_columns import PRICE_BAND, item_versions, price_bands
from tests.features.worlds import BANDS, FIRST, ITEMS, Record, items_table


def catalogue_of(table: pl.DataFrame, *columns: str) -> LoggedCatalogue:
    versions = item_versions(table)
    return LoggedCatalogue.of(versions, columns, table[Items.item_id.name].unique().sort())


def test_text_becomes_codes_and_numbers_stay_numbers() -> None:
    catalogue = catalogue_of(items_table().collect(), "category", PRICE_BAND, "weight")
    assert set(catalogue.attributes) == {"category", PRICE_BAND}
    assert catalogue.values["category"] == ["a", "b", "c"]
    np.testing.assert_array_equal(catalogue.attributes["category"], [0, 0, 1, MISSING, 2])
    assert [*catalogue.numbers] == ["weight"]
    np.testing.assert_array_equal(
        catalogue.numbers["weight"],
        [np.nan if record.weight is None else record.weight for record in ITEMS],
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
    blank = catalogue_of(table, "category", "tags")
    assert blank.values["category"] == ["a", "b"]
    np.testing.assert_array_equal(blank.attributes["category"], [0, MISSING, MISSING, MISSING, 1])
    np.testing.assert_array_equal(blank.lists["tags"].offsets, [0, 1, 1, 1, 1, 2])
    assert blank.values["tags"] == ["x", "y"]


def test_price_bands_double_and_begin_where_the_one_before_ends() -> None:
    items = items_table().collect()
    assert price_bands(items).to_list() == [BANDS[record.price] for record in ITEMS]
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
    tags = catalogue_of(items_table().collect(), "tags").lists["tags"]
    np.testing.assert_array_equal(tags.offsets, [0, 2, 4, 4, 4, 5])
    np.testing.assert_array_equal(tags.codes, [0, 1, 1, 2, 0])
    place, value = tags.of_versions(np.array([4, MISSING, 2, 1]))
    np.testing.assert_array_equal(place, [0, 3, 3])
    np.testing.assert_array_equal(value, [0, 1, 2])


def test_a_version_is_known_from_the_later_of_its_times_on_and_a_late_record_never() -> None:
    records = [
        Record("i0", "always"),
        Record("i0", "second", updated=FIRST + DAY, late=DAY),
        Record("i0", "late", updated=FIRST + DAY - 1, late=5 * DAY),
        Record("i0", "gone", updated=FIRST + 9 * DAY, deleted=True),
        Record("i0", "again", updated=FIRST + 10 * DAY),
        Record("new", "later", updated=FIRST + DAY),
    ]
    catalogue = catalogue_of(items_table(records).collect(), "category")
    assert "late" not in catalogue.values["category"]

    def category(item: int, moment: int) -> str | None:
        version = catalogue.versions(np.array([item]), np.array([moment]))[0]
        code = MISSING if version == MISSING else catalogue.attributes["category"][version]
        return None if code == MISSING else catalogue.values["category"][code]

    for moment, expected in (
        (0, "always"),
        (FIRST + 2 * DAY - 1, "always"),
        (FIRST + 2 * DAY, "second"),
        (FIRST + 8 * DAY, "second"),
        (FIRST + 9 * DAY, None),
        (FIRST + 10 * DAY, "again"),
    ):
        assert category(0, moment) == expected
    assert category(1, FIRST + DAY - 1) is None
    assert category(1, FIRST + DAY) == "later"
    assert category(2, FIRST + 99 * DAY) is None
    assert category(MISSING, FIRST + 99 * DAY) is None


def test_values_have_codes_in_the_order_in_which_they_became_known() -> None:
    records = [
        Record("i0", "b", updated=FIRST),
        Record("i1", "a", updated=FIRST),
        Record("i2", "0", updated=FIRST + 1),
        Record("i3", "z"),
        Record("i4", "b"),
    ]
    catalogue = catalogue_of(items_table(records).collect(), "category")
    assert catalogue.values["category"] == ["b", "z", "a", "0"]


def test_a_later_record_changes_no_code() -> None:
    records = [Record("i0", "b", updated=FIRST), Record("i1", "c", tags=["u"])]
    before = catalogue_of(items_table(records).collect(), "category", "tags")
    more = [*records, Record("i0", "a", tags=["t"], updated=FIRST + 1)]
    after = catalogue_of(items_table(more).collect(), "category", "tags")
    for name in ("category", "tags"):
        known = before.values[name]
        assert after.values[name][: len(known)] == known
        assert before.values_known_by(name, FIRST) == len(known)
        assert after.values_known_by(name, FIRST) == len(known)
