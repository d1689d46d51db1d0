from hypothesis import given
from hypothesis import strategies as st

from data_contracts.items import Items
from recsys.text.template import item_texts
from tests.worlds import table

TEMPLATE = ("title", "description", "category", "tags")


def texts(columns: dict[str, list[object]], template: tuple[str, ...] = TEMPLATE) -> list[str]:
    count = len(next(iter(columns.values())))
    rows: dict[str, list[object]] = {"item_id": [f"i{n}" for n in range(count)], **columns}
    return item_texts(table(rows, Items.create_empty().schema), template).to_list()


def test_columns_become_sentences_in_the_order_of_the_template() -> None:
    columns: dict[str, list[object]] = {
        "title": ["Wool scarf"],
        "description": ["Warm. And soft."],
        "tags": [["winter", "gift"]],
    }
    assert texts(columns) == ["Wool scarf. Warm. And soft. winter, gift"]
    assert texts(columns, ("tags", "title")) == ["winter, gift. Wool scarf"]


def test_what_is_missing_empty_or_a_repeat_is_left_out() -> None:
    columns: dict[str, list[object]] = {
        "title": ["Mug", "", " ", "Mug"],
        "description": [None, "Blue.", None, " Mug. "],
        "category": ["mugs", None, "", "Mug"],
        "tags": [[], None, None, ["Mug"]],
    }
    assert texts(columns) == ["Mug. mugs", "Blue", "", "Mug"]


_WORDS = st.one_of(st.none(), st.sampled_from(["", " ", "red", "red.", "blue", "a. b"]))

_Row = tuple[str | None, str | None, str | None]


@given(st.lists(st.tuples(_WORDS, _WORDS, _WORDS), min_size=1, max_size=5))
def test_every_distinct_part_stands_once(
    rows: list[_Row],
) -> None:
    columns: dict[str, list[object]] = {
        "title": [title or "" for title, _, _ in rows],
        "description": [description for _, description, _ in rows],
        "category": [category for _, _, category in rows],
    }
    for text, row in zip(texts(columns), rows, strict=True):
        parts = [(part or "").strip().rstrip(".") for part in row]
        assert text == ". ".join(dict.fromkeys(part for part in parts if part))
