"""One rule of identifiers for tables, requests and the exported schemas; names that fit files."""

import dataframely as dy
import jsonschema
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from data_contracts.export import TABLES, json_schema
from data_contracts.names import (
    LONGEST_ID,
    SEEN,
    DifferentNames,
    Id,
    IdColumn,
    Name,
    can_be_seen,
    file_part,
    meant,
)
from data_contracts.reading import check_rows
from data_contracts.slates import Candidate, RankRequest

IDS: TypeAdapter[str] = TypeAdapter(Id)
NAMES: TypeAdapter[str] = TypeAdapter(Name)
LISTS: TypeAdapter[tuple[str, ...]] = TypeAdapter(DifferentNames)


class One(dy.Schema):
    """A column of identifiers."""

    user_id = IdColumn("Who.", nullable=True)


def broken(value: str) -> list[str]:
    return [each.rule for each in check_rows(pl.DataFrame({"user_id": [value]}), One).failures]


def is_taken(kind: TypeAdapter[str], value: str) -> bool:
    try:
        kind.validate_python(value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("i0001", None),
        ("https://shop.example/a?b=c d", None),
        ("\u0438" * LONGEST_ID, None),
        ("\u0438" * (LONGEST_ID + 1), "max_length"),
        ("x" * (LONGEST_ID + 20), "max_length"),
        ("", "min_length"),
        ("   ", "visible"),
        ("a\tb", "visible"),
        ("a\x00", "visible"),
        ("\x7f", "visible"),
    ],
)
def test_an_identifier_breaks_one_rule_of_the_table_when_requests_refuse_it(
    value: str, rule: str | None
) -> None:
    assert broken(value) == ([] if rule is None else [f"user_id|{rule}"])
    assert is_taken(IDS, value) == (rule is None)


@given(st.text(max_size=LONGEST_ID + 2))
def test_tables_and_requests_take_the_same_identifiers(value: str) -> None:
    assert is_taken(IDS, value) == (not broken(value))


IDENTIFIERS = [
    (table.name, name)
    for table in TABLES
    for name in table.schema.columns()
    if name.endswith("_id")
]


@pytest.mark.parametrize(("table", "column"), IDENTIFIERS)
def test_every_column_of_identifiers_has_the_rule_and_exports_it(table: str, column: str) -> None:
    contract = next(each for each in TABLES if each.name == table)
    assert isinstance(contract.schema.columns()[column], IdColumn)
    told = json_schema(contract)["properties"][column]
    for value in ("i0001", "", " ", "x" * LONGEST_ID, "x" * (LONGEST_ID + 1), "a\x00b"):
        fits = jsonschema.Draft202012Validator(told).is_valid(value)
        assert fits == is_taken(IDS, value), repr(value)


def test_all_identifiers_are_looked_at() -> None:
    assert len(IDENTIFIERS) == 1 + 4 + 5 + 2


@pytest.mark.parametrize("field", ["user_id", "session_id", "request_id"])
@pytest.mark.parametrize("value", ["", " ", "x" * (LONGEST_ID + 1), "a\nb"])
def test_a_request_has_identifiers_of_the_same_kind(field: str, value: str) -> None:
    with pytest.raises(ValidationError):
        RankRequest(candidates=[Candidate(item_id="a")], **{field: value})
    with pytest.raises(ValidationError):
        Candidate(item_id=value)


def test_an_empty_identifier_is_told_as_what_a_text_file_had_for_none() -> None:
    failure = check_rows(pl.DataFrame({"user_id": ["", "u", None]}), One).failures[0]
    assert (failure.rule, failure.count) == ("user_id|min_length", 1)
    assert "write null" in failure.advice


@pytest.mark.parametrize(
    "name", ["brand", "brand name", "attr:brand", "\u0431\u0440\u0435\u043d\u0434", "km/h", "50%"]
)
def test_a_name_may_have_any_sign_one_can_see(name: str) -> None:
    assert NAMES.validate_python(name) == name


@pytest.mark.parametrize(
    "name", ["", " brand", "brand ", "a\nb", "a\u200bb", "*", "^b.*$", "x" * 81, "/" * 27]
)
def test_a_name_that_no_file_or_query_can_have_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="the name"):
        NAMES.validate_python(name)


@given(st.text(), st.text())
def test_names_that_differ_differ_in_files_too(one: str, other: str) -> None:
    assert (file_part(one) == file_part(other)) == (one == other)
    assert "/" not in file_part(one)


def test_a_name_twice_is_named() -> None:
    with pytest.raises(ValidationError, match="'brand' stands there twice"):
        LISTS.validate_python(["brand", "Brand", "brand"])
    assert LISTS.validate_python(["brand", "Brand"]) == ("brand", "Brand")


@pytest.mark.parametrize(
    ("word", "known", "told"),
    [
        ("colour", ["color", "size"], ", 'color' may be meant"),
        ("user_id", ["UserId", "item"], ", 'UserId' may be meant"),
        ("colour", ["weight"], ""),
    ],
)
def test_what_may_be_meant(word: str, known: list[str], told: str) -> None:
    assert meant(word, known) == told


_SIGNS = st.sampled_from(
    " \t\x1f\u00a0\u00ad\u034f\u115f\u180e\u200b\u200d\u200e\u2800\u3164\ufe0f\ufeffa-\u624b\u0301"
)


@given(st.text(_SIGNS, max_size=4))
def test_what_can_be_seen_of_a_text_is_the_same_in_a_column(text: str) -> None:
    assert can_be_seen(text) == pl.Series([text]).str.contains(SEEN)[0]
    assert can_be_seen(text) == bool(set(text) & set("a-\u624b\u0301"))
