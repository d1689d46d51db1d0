import json

import pytest
from pydantic import ValidationError

from data_contracts.slates import RankedItem, RankRequest, RankResponse

WHOLE: dict[str, object] = {
    "candidates": [
        {"item_id": "a"},
        {"item_id": "b", "text": "A mug", "features": {"retrieval": 0.5}},
    ],
    "user_id": "u",
    "session_id": "s",
    "query": "mug",
    "context": {"device": "phone", "hour": 7},
    "top_k": 1,
    "explain": True,
    "deadline_ms": 50,
    "request_id": "r",
    "timestamp": "2025-01-01T00:00:00+02:00",
}


def read(**changes: object) -> RankRequest:
    return RankRequest.model_validate_json(json.dumps({**WHOLE, **changes}))


def test_a_whole_request_is_read() -> None:
    request = read()
    assert [each.item_id for each in request.candidates] == ["a", "b"]
    assert request.candidates[1].features == {"retrieval": 0.5}
    assert request.timestamp is not None
    assert request.timestamp.isoformat() == WHOLE["timestamp"]


def test_one_candidate_is_enough() -> None:
    request = RankRequest.model_validate_json('{"candidates": [{"item_id": "a"}]}')
    assert (request.user_id, request.timestamp, request.context) == (None, None, {})


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"candidates": []}, "candidates"),
        ({"candidates": [{"item_id": ""}]}, "candidates.0.item_id"),
        ({"candidates": [{"item_id": "a" * 257}]}, "candidates.0.item_id"),
        ({"candidates": [{"item_id": 1}]}, "candidates.0.item_id"),
        ({"candidates": [{"item_id": "a", "text": "x" * 20_001}]}, "candidates.0.text"),
        ({"candidates": [{"item_id": "a", "price": 3}]}, "candidates.0.price"),
        ({"candidates": [{"item_id": "a", "features": {"x": "y"}}]}, "candidates.0.features.x"),
        ({"timestamp": "2025-01-01T00:00:00"}, "timestamp"),
        ({"top_k": 0}, "top_k"),
        ({"deadline_ms": 0}, "deadline_ms"),
        ({"deadline_ms": 60_001}, "deadline_ms"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_fault_names_its_field(changes: dict[str, object], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read(**changes)
    assert [".".join(map(str, fault["loc"])) for fault in caught.value.errors()] == [field]


def test_numbers_must_be_finite() -> None:
    with pytest.raises(ValidationError):
        read(candidates=[{"item_id": "a", "features": {"x": float("inf")}}])


def test_an_item_twice_is_named() -> None:
    with pytest.raises(ValidationError, match="'b' stands twice"):
        read(candidates=[{"item_id": item} for item in "abcb"])


def test_an_answer_survives_json() -> None:
    item = RankedItem(
        item_id="a", score=1.5, p_click=None, interest_match=0.25, contributions={"age": -0.5}
    )
    answer = RankResponse(
        request_id="r",
        policy="p",
        rung="no_text",
        items=[item],
        unknown_items=["a"],
        timings_ms={"score": 0.5},
    )
    assert RankResponse.model_validate_json(answer.model_dump_json()) == answer
