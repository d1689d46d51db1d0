from datetime import UTC, datetime, timedelta

import dataframely as dy
import polars as pl
import pytest

from data_contracts.events import Impressions, Interactions
from data_contracts.items import Items
from data_contracts.reading import check_rows

NOW = datetime(2025, 1, 1, tzinfo=UTC)
TABLES: list[type[dy.Schema]] = [Items, Impressions, Interactions]


def impressions(**columns: object) -> pl.DataFrame:
    """Two slates of two candidates, with columns replaced."""
    fields: dict[str, object] = {
        "request_id": ["r1", "r1", "r2", "r2"],
        "item_id": ["a", "b", "a", "b"],
        "user_id": ["u", "u", None, None],
        "position": [1, 2, 1, 2],
        "timestamp": [NOW, NOW, NOW + timedelta(hours=1), NOW + timedelta(hours=1)],
        **columns,
    }
    schema = {name: column.dtype for name, column in Impressions.columns().items()}
    missing = {name: [None] * 4 for name in schema if name not in fields}
    return pl.DataFrame({**fields, **missing}, schema_overrides=schema).select(list(schema))


def broken_rules(frame: pl.DataFrame) -> dict[str, int]:
    return {failure.rule: failure.count for failure in check_rows(frame, Impressions).failures}


@pytest.mark.parametrize("contract", TABLES)
def test_every_column_is_described(contract: type[dy.Schema]) -> None:
    assert contract.__doc__
    assert [name for name, column in contract.columns().items() if not column.description] == []


@pytest.mark.parametrize("contract", TABLES)
def test_times_are_microseconds_in_utc(contract: type[dy.Schema]) -> None:
    times = [c.dtype for c in contract.columns().values() if isinstance(c, dy.Datetime)]
    assert times
    assert set(times) == {pl.Datetime("us", "UTC")}


@pytest.mark.parametrize("contract", TABLES)
def test_an_empty_table_keeps_its_contract(contract: type[dy.Schema]) -> None:
    assert check_rows(contract.create_empty(), contract).failures == []


def test_two_good_slates_break_no_rule() -> None:
    assert broken_rules(impressions()) == {}


def test_a_request_has_one_user_and_one_moment() -> None:
    mixed = impressions(user_id=["u", "v", "w", None])
    assert broken_rules(mixed) == {"request_has_one_user_and_time": 4}
    later = NOW + timedelta(microseconds=1)
    mixed = impressions(timestamp=[NOW, later, NOW, NOW])
    assert broken_rules(mixed) == {"request_has_one_user_and_time": 2}


def test_a_position_and_an_item_stand_once_in_a_request() -> None:
    assert broken_rules(impressions(position=[1, 1, 1, 2])) == {
        "positions_differ_within_a_request": 2
    }
    assert broken_rules(impressions(item_id=["a", "a", "a", "b"])) == {"primary_key": 2}


def test_limits_of_single_columns_hold() -> None:
    assert broken_rules(impressions(position=[0, 1, 1, 2])) == {"position|min": 1}
    assert broken_rules(impressions(item_id=["", "b", "a", "b"])) == {"item_id|min_length": 1}
    assert broken_rules(impressions(propensity=[0.0, 1.5, 1.0, None])) == {
        "propensity|min_exclusive": 1,
        "propensity|max": 1,
    }
