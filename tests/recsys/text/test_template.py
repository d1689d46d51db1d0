import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from data_contracts.items import Items
from recsys.text.settings import TextLimits, TextSettings
from recsys.text.template import inline_text, item_texts, limit_words, query_text
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


def test_repeated_words_count_three_times_and_short_ones_always() -> None:
    assert limit_words("Gift gift GIFT, gift! Gift mug", 20, 3) == "Gift gift GIFT, mug"
    assert limit_words("the cat on the mat by the sea in the sun", 20, 3).count("the") == 4
    assert limit_words("手机手机手机手机壳", 20, 3) == "手机壳"
    assert limit_words("1000 x 1000 mm", 20, 3) == "1000 x 1000 mm"
    assert limit_words("T-LIGHT holder, set/4, don't", 20, 3) == "T-LIGHT holder, set/4, don't"
    for mark in ",_-/|\u00b7\u2026\uff0c":
        assert limit_words(mark.join(["gift"] * 9) + " mug", 20, 3) == f"{f'gift{mark}' * 3} mug"
        assert limit_words(f"gift gift gift gift{mark}box", 20, 3) == "gift gift gift box"


def test_a_title_ends_after_its_words_and_leaves_room_for_the_rest() -> None:
    stuffed = " ".join(f"word{place}" for place in range(300))
    columns: dict[str, list[object]] = {"title": [stuffed], "description": ["Blue."]}
    (text,) = texts(columns)
    assert text.startswith("word0 ")
    assert text.endswith("word19. Blue")


@pytest.mark.parametrize("sign", ["\u200d", "\u200e", "\u2066", "\u0301", "\ufe0f"])
def test_a_word_counts_however_it_is_disguised(sign: str) -> None:
    disguised = ["gift"[:place] + sign * n + "gift"[place:] for place in (1, 2, 3) for n in (1, 2)]
    kept = limit_words(" ".join(["mug", *disguised, "g\u00edft"]), 20, 3)
    assert len(kept.split()) == 1 + 3
    assert limit_words("caf\u00e9 cafe\u0301 CAFE cafe", 20, 2).split() == [
        "caf\u00e9",
        "cafe\u0301",
    ]


def test_blanks_between_words_are_one_space_and_periods_at_the_end_go() -> None:
    for written in ("red  lamp", " red\u00a0lamp. .", "red\n lamp.\x1f", "red \u200b lamp.\ufeff."):
        assert limit_words(written, 20, 3) == "red lamp"


def test_blank_tags_are_no_text() -> None:
    columns: dict[str, list[object]] = {
        "title": ["", "Mug"],
        "tags": [["", " ", "\u200b"], ["\u00a0", "gift", ""]],
    }
    assert texts(columns, ("title", "tags")) == ["", "Mug. gift"]


def test_control_and_invisible_characters_part_words_and_hide_nothing() -> None:
    assert limit_words("red\x00scarf\u200b\r\nof\twool", 20, 3) == "red scarf of wool"
    assert limit_words("\x07\u200b ", 20, 3) == ""


@given(st.lists(st.sampled_from(["wool", "scarf", "a", "1000", "é", "手", "-"]), max_size=60))
def test_limiting_twice_is_limiting_once_and_keeps_the_order(words: list[str]) -> None:
    text = " ".join(words)
    once = limit_words(text, 20, 3)
    assert limit_words(once, 20, 3) == once
    rest = iter(words)
    assert all(word in rest for word in once.split())
    assert len(once.split()) <= 20


@given(st.text(max_size=40))
def test_any_text_is_read(text: str) -> None:
    limited = limit_words(text, 20, 3)
    assert len(limited) <= len(text)
    limited.encode()


BLANKS = ("", "   ", "\u200b\ufeff", "\u00a0\u2003", "\n\t", "\u00ad.", ". ")


@pytest.mark.parametrize("blank", [None, *BLANKS])
def test_what_cannot_be_read_is_no_text_wherever_it_comes_from(blank: str | None) -> None:
    settings = TextSettings(template=("title",))
    assert inline_text(blank, settings) == query_text(blank, settings) == ""
    assert item_texts(pl.DataFrame({"title": [blank]}), ("title",)).to_list() == [""]


_TEXTS = st.text(alphabet="ab\x1f\u200b\u200d. \u00a0红é,", max_size=60) | st.text(max_size=60)


@example("红蓝红蓝红蓝手红蓝手红蓝手")
@example("lamp. .")
@given(
    _TEXTS
    | st.lists(st.sampled_from(["gift", "红蓝", "红", "手", " ", "."]), max_size=60).map("".join)
)
def test_any_text_limited_twice_is_as_limited_once(text: str) -> None:
    settings = TextSettings()
    for cleaned in (inline_text, query_text):
        once = cleaned(text, settings)
        assert cleaned(once, settings) == once


@given(_TEXTS)
def test_a_title_reads_the_same_inline_as_in_the_catalogue(title: str) -> None:
    catalogue = item_texts(pl.DataFrame({"title": [title]}), ("title",))
    assert inline_text(title, TextSettings(template=("title",))) == catalogue[0]


def test_texts_of_a_request_are_limited_as_those_of_the_catalogue() -> None:
    settings = TextSettings(limits=TextLimits(title_words=3, column_words=5, word_repeats=2))
    stuffed = "lamp " * 50 + " ".join(f"w{n}" for n in range(500))
    assert query_text(stuffed, settings) == "lamp lamp w0 w1 w2"
    whole = 3 + 3 * 5
    assert inline_text(stuffed, settings).split() == ["lamp"] * 2 + [
        f"w{n}" for n in range(whole - 2)
    ]


def test_a_text_without_words_to_count_is_cut_by_its_characters() -> None:
    assert limit_words("x" * 1_000, 3, 3) == "x" * 3 * 64


@pytest.mark.parametrize(
    "blank", ["\u200e", "\u200c", "\u200d\u200d", "\u202e", "\u180e", "\u3164", "\ufe0f", "\u2800 "]
)
def test_a_text_of_which_nothing_can_be_seen_is_none(blank: str) -> None:
    assert limit_words(blank, 20, 3) == ""
    joined = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
    assert limit_words(joined, 20, 3) == joined
