"""What is remembered takes memory in proportion, whatever the settings allow."""

import json

import pytest

from benchmarks.features.memory import bytes_a_request, bytes_a_user, bytes_of_items, main
from features.settings import FeatureSettings

USERS = 20_000
ENTRY = 4 + 2 + 8
"""Bytes of an interaction's item, kind and time."""


@pytest.mark.parametrize("history", [1, 300, 1000])
def test_a_user_of_one_event_weighs_the_same_whatever_history_is_kept(history: int) -> None:
    online = bytes_a_user(USERS, 1, FeatureSettings(history=history))
    assert online["all"] == sum(value for part, value in online.items() if part != "all")
    assert online["all"] < 1_000
    assert ENTRY <= online["history"] < 100


@pytest.mark.parametrize(("events", "kept"), [(1, 1), (10, 10), (400, 300)])
def test_a_request_weighs_what_its_history_holds(events: int, kept: int) -> None:
    users = 100
    starts = 8 * (users + 1) / users
    assert bytes_a_request(users, events, 300) == pytest.approx(starts + ENTRY * kept)


def test_a_version_weighs_its_columns_and_an_item_its_name_once() -> None:
    one, many = bytes_of_items(1_000, 1), bytes_of_items(1_000, 8)
    columns = 8 + 8 + 1 + 4 + 8 + 8 + 4 + 4
    for found in (one, many):
        # Arrays grow by half at a time.
        assert columns <= found["version"] <= 1.6 * columns
        assert 50 < found["item"] < 400
    assert many["item"] == pytest.approx(one["item"], rel=0.01)


@pytest.mark.slow
def test_the_figures_are_told_with_their_settings(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--history", "300"])
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["history"], told["windows_days"]) == (300, [1, 7, 30, 90])
    for events in (1, 10, 300):
        figures = told[f"{events}_events"]
        assert figures["training_history"] == pytest.approx(8 + ENTRY * events, abs=1)
        assert ENTRY * events < figures["online"]["history"] < 100 * events
