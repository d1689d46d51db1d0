import json
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.slates import Candidate, RankedSlate, RankRequest, RankResponse
from serving.wire import slates as wire
from serving.wire.problems import Problem
from serving.wire.slates import Declared
from tests.serving.doubles import settings_for

LIMITS = settings_for(max_candidates=3, max_body_bytes=2048)
READ = Declared(frozenset({"x", "y"}), frozenset())
NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
CANDIDATES = [{"item_id": "a"}, {"item_id": "b"}, {"item_id": "c"}]


def refusal(body: object) -> Problem:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = wire.parse_request(raw, LIMITS)
    assert isinstance(found, Problem)
    return found


@pytest.mark.parametrize(
    ("body", "field", "found"),
    [
        ({}, "candidates", None),
        ({"candidates": []}, "candidates", "a list of 0"),
        ({"candidates": "a"}, "candidates", "a"),
        ({"candidates": [*CANDIDATES[:2], {"item_id": 7}]}, "candidates.2.item_id", "7"),
        ({"candidates": [*CANDIDATES[:2], {}]}, "candidates.2.item_id", None),
        ({"candidates": [*CANDIDATES[:2], {"item_id": "a"}]}, "candidates.2.item_id", "a"),
        ({"candidates": [{"item_id": ""}]}, "candidates.0.item_id", ""),
        (
            {"candidates": [{"item_id": "a", "text": "x" * 20_001}]},
            "candidates.0.text",
            "20,001 characters",
        ),
        (
            {"candidates": CANDIDATES, "timestamp": "2024-05-01T12:00:00"},
            "timestamp",
            "2024-05-01T12:00:00",
        ),
        (
            {"candidates": CANDIDATES, "timestamp": "0001-01-01T00:00:00+14:00"},
            "timestamp",
            "0001-01-01T00:00:00+14:00",
        ),
        (
            {"candidates": CANDIDATES, "timestamp": "9999-12-31T23:59:59-14:00"},
            "timestamp",
            "9999-12-31T23:59:59-14:00",
        ),
        (
            {"candidates": [{"item_id": "a", "features": {"x": 1e39}}]},
            "candidates.0.features.x",
            "1e+39",
        ),
        (
            {"candidates": CANDIDATES, "context": {"x": -1e308}},
            "context.x.constrained-str",
            "-1e+308",
        ),
        (
            {"candidates": CANDIDATES, "query": "x" * 2001},
            "query",
            "2,001 characters",
        ),
        (
            {"candidates": [{"item_id": "a", "features": {str(n): n for n in range(101)}}]},
            "candidates.0.features",
            "an object",
        ),
        (
            {"candidates": CANDIDATES, "context": {str(n): n for n in range(101)}},
            "context",
            "an object",
        ),
        (
            {"candidates": CANDIDATES, "context": {"x": "x" * 2001}},
            "context.x.constrained-str",
            "2,001 characters",
        ),
        (
            {"candidates": [{"item_id": str(n)} for n in range(10_001)]},
            "candidates",
            "a list of 10,001",
        ),
        (
            {"candidates": CANDIDATES, "context": {"x" * 81: 1}},
            "context.81 characters.[key]",
            "81 characters",
        ),
        ({"candidates": CANDIDATES, "deadline_ms": -1}, "deadline_ms", "-1"),
        ({"candidates": CANDIDATES, "top_k": 0}, "top_k", "0"),
        ({"candidates": CANDIDATES, "userid": "u"}, "userid", "u"),
        ({"candidates": [*CANDIDATES, {"item_id": "d"}]}, "candidates", "4"),
        ([], "body", "a list of 0"),
    ],
)
def test_a_refusal_names_the_field_and_what_stands_there(
    body: object, field: str, found: str | None
) -> None:
    problem = refusal(body)
    assert problem.status == 422
    assert (problem.errors[0].field, problem.errors[0].found) == (field, found)
    assert problem.errors[0].expected


@pytest.mark.parametrize("body", [b"", b"{", b'{"candidates": [}', b"\xff\xfe"])
def test_what_is_no_json_is_malformed(body: bytes) -> None:
    problem = refusal(body)
    assert (problem.status, problem.errors[0].field) == (400, "body")


def test_every_wrong_field_is_named() -> None:
    problem = refusal({"candidates": [{"item_id": 1}, {"item_id": 2}], "explain": "?"})
    assert [fault.field for fault in problem.errors] == [
        "candidates.0.item_id",
        "candidates.1.item_id",
        "explain",
    ]


@pytest.mark.parametrize(
    ("content_type", "encoding", "length", "status"),
    [
        ("application/json", None, "2048", None),
        ("Application/JSON; charset=utf-8", "identity", None, None),
        ("application/json", None, "2049", 413),
        ("application/json", "gzip", None, 415),
        ("text/plain", None, None, 415),
        (None, None, None, 415),
    ],
)
def test_headers_are_checked_before_the_body(
    content_type: str | None, encoding: str | None, length: str | None, status: int | None
) -> None:
    problem = wire.check_headers(content_type, encoding, length, LIMITS)
    assert (problem and problem.status) == status


def test_a_request_without_time_and_id_gets_the_arrivals_and_a_new_one() -> None:
    request = RankRequest(candidates=[Candidate(item_id="a")])
    first, second = wire.to_slate(request, NOW, READ), wire.to_slate(request, NOW, READ)
    assert first.timestamp == NOW
    assert first.request_id != second.request_id


def test_a_time_of_another_zone_is_the_same_instant_in_utc() -> None:
    zone = timezone(timedelta(hours=5))
    request = RankRequest(candidates=[Candidate(item_id="a")], timestamp=NOW.astimezone(zone))
    slate = wire.to_slate(request, NOW + timedelta(days=1), READ)
    assert slate.timestamp == NOW
    assert slate.timestamp.tzinfo is UTC


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["x", "y", "unread"]), st.floats(-10, 10, width=32)),
        min_size=1,
        max_size=8,
    )
)
def test_given_numbers_stand_with_their_candidate_and_are_nan_elsewhere(
    features: list[dict[str, float]],
) -> None:
    request = RankRequest(
        candidates=[
            Candidate(item_id=str(index), features=values) for index, values in enumerate(features)
        ]
    )
    slate = wire.to_slate(request, NOW, READ)
    assert set(slate.given) == {name for values in features for name in values} - {"unread"}
    for name, column in slate.given.items():
        expected = [values.get(name, np.nan) for values in features]
        np.testing.assert_array_equal(column, np.array(expected, dtype=np.float32))


def test_the_answer_is_a_rank_response_with_null_for_what_is_missing() -> None:
    slate = wire.to_slate(
        RankRequest(candidates=[Candidate(item_id="a")], request_id="r"), NOW, READ
    )
    ranked = RankedSlate(
        item_ids=["b", "a", "c"],
        scores=np.array([2.0, 1.0, 0.5]),
        p_click=None,
        interest_match=np.array([np.nan, 0.25, 0.5], dtype=np.float32),
        rung="full",
        unknown_items=["b"],
        contributions=[{"price": np.float64(1.5)}, {}, {}],
        history_shares=[None, {"z": 0.25}],
    )
    body = wire.to_response(
        slate, ranked, policy="p", count=2, ignored=["z"], timings_ms={"total": 1.23456}
    )
    answer = RankResponse.model_validate_json(body)
    assert [item.item_id for item in answer.items] == ["b", "a"]
    assert [item.interest_match for item in answer.items] == [None, 0.25]
    assert [item.p_click for item in answer.items] == [None, None]
    assert answer.items[0].contributions == {"price": 1.5}
    assert [item.history_shares for item in answer.items] == [None, {"z": 0.25}]
    assert (answer.request_id, answer.policy, answer.unknown_items) == ("r", "p", ["b"])
    assert answer.ignored == ["z"]
    assert answer.timings_ms == {"total": 1.235}
