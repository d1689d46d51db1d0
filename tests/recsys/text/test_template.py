from hypothesis import given
from hypothesis import strategies as st

from data_contracts.items import Items
from recsys.text.template import item_texts
from tests.worlds import table

TEMPLATE = ("title", "description", "category", "tags")


def texts(template: tuple[str, ...] = TEMPLATE, **columns: list[object]) -> list[str]:
    count = len(next(iter(columns.values())))
    rows: dict[str, list[object]] = {"item_id": [f"i{n}" for n in range(count)], **columns}
    return item_texts(table(rows, Items.create_empty().schema), template).to_list()


def test_columns_become_sentences_in_the_order_of_the_template() -> None:
    columns: dict[str, list[object]] = {
        "title": ["Wool scarf"],
        "description": ["Warm. And soft."],
        "tags": [["winter", "gift"]],
    }
    assert texts(**columns) == ["Wool scarf. Warm. And soft. winter, gift"]
    assert texts(("tags", "title"), **columns) == ["winter, gift. Wool scarf"]


def test_what_is_missing_empty_or_a_repeat_is_left_out() -> None:
    assert texts(
        title=["Mug", "", " ", "Mug"],
        description=[None, "Blue.", None, " Mug. "],
        category=["mugs", None, "", "Mug"],
        tags=[[], None, None, ["Mug"]],
    ) == ["Mug. mugs", "Blue", "", "Mug"]


_WORDS = st.one_of(st.none(), st.sampled_from(["", " ", "red", "red.", "blue", "a. b"]))


@given(st.lists(st.tuples(_WORDS, _WORDS, _WORDS), min_size=1, max_size=5))
def test_every_distinct_part_stands_once(rows: list[tuple[str | None, ...]]) -> None:
    title, description, category = (list(column) for column in zip(*rows, strict=True))
    found = texts(title=[part or "" for part in title], description=description, category=category)
    for text, row in zip(found, rows, strict=True):
        parts = [(part or "").strip().rstrip(".") for part in row]
        assert text == ". ".join(dict.fromkeys(part for part in parts if part))
