"""What the dearest bodies cost that the limits allow, and what is told about them."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.slates import MOST_CANDIDATES, MOST_NUMBERS, RankRequest
from serving.wire import slates as wire
from serving.wire.problems import MOST_FAULTS, Problem
from serving.wire.slates import Declared
from tests.serving.doubles import settings_for

LIMITS = settings_for(max_candidates=MOST_CANDIDATES)
NOW = datetime(2026, 5, 1, tzinfo=UTC)
READ = Declared(frozenset({"bm25"}), frozenset({"device"}))
BYTES = 1_000_000
ANSWER_BYTES = 10_000
TIMES_AS_LONG = 30


def filled(make: Callable[[int], str], before: str, after: str) -> bytes:
    """Put as many parts between two texts as fill a body."""
    parts: list[str] = []
    size = 0
    while size < BYTES:
        parts.append(make(len(parts)))
        size += len(parts[-1]) + 1
    return (before + ",".join(parts) + after).encode()


def slate(make: Callable[[int], str]) -> bytes:
    return filled(make, '{"candidates": [', "]}")


def numbers(candidate: int) -> str:
    features = {f"f{candidate * MOST_NUMBERS + n:07d}": n for n in range(MOST_NUMBERS)}
    return json.dumps({"item_id": str(candidate), "features": features})


LONG_ID = "x" * 90
BODIES = {
    "distinct candidates": slate(lambda n: f'{{"item_id": "{LONG_ID}{n}"}}'),
    "the last one twice": slate(lambda n: f'{{"item_id": "{LONG_ID}{max(n, 1)}"}}')[:-2]
    + f', {{"item_id": "{LONG_ID}5"}}]}}'.encode(),
    "too many, all the same": slate(lambda _: '{"item_id": "a"}'),
    "nothing in them": slate(lambda _: "{}"),
    "no objects": slate(lambda _: "0"),
    "numbers of many names": slate(numbers),
    "unknown fields": slate(lambda n: f'{{"item_id": "{LONG_ID}{n}", "a": 0, "b": 0, "c": 0}}'),
    "one candidate of many fields": filled(
        lambda n: f'"{n}": 0', '{"candidates": [{"item_id": "a", ', "}]}"
    ),
    "long texts": slate(lambda n: json.dumps({"item_id": str(n), "text": "红" * 3_000})),
    "too long texts": slate(lambda n: json.dumps({"item_id": str(n), "text": "x" * 20_001})),
    "a long query": filled(
        lambda _: "x" * 999, '{"candidates": [{"item_id": "a"}], "query": "', '"}'
    ),
    "much context": filled(
        lambda n: f'"{n}": "x"', '{"candidates": [{"item_id": "a"}], "context": {', "}}"
    ),
    "a long number": filled(
        lambda _: "1" * 999, '{"candidates": [{"item_id": "a"}], "top_k": ', "}"
    ).replace(b"1,1", b"111"),
    "a long name": b'{"candidates": [{"item_id": "a", "' + b"x" * BYTES + b'": 0}]}',
    "many brackets": b'{"candidates": ' + b"[" * BYTES,
}


def parsed(body: bytes) -> RankRequest | Problem:
    """Do all that is done with a body before the ranker sees it."""
    request = wire.parse_request(body, LIMITS)
    if isinstance(request, RankRequest):
        wire.to_slate(request, NOW, READ)
        assert len(wire.undeclared(request, READ)) <= MOST_FAULTS
    return request


def seconds(body: bytes) -> float:
    """Time of the fastest of a few runs."""
    spent = []
    for _ in range(3):
        started = perf_counter()
        parsed(body)
        spent.append(perf_counter() - started)
    return min(spent)


@pytest.mark.parametrize("name", BODIES)
def test_a_body_costs_no_more_than_its_size(name: str) -> None:
    """A ratio within one run: what grows faster than the body is hundreds of times as dear."""
    assert seconds(BODIES[name]) < TIMES_AS_LONG * seconds(BODIES["distinct candidates"])


@pytest.mark.parametrize("name", BODIES)
def test_what_is_told_about_a_body_is_short(name: str) -> None:
    found = parsed(BODIES[name])
    if isinstance(found, Problem):
        assert 0 < len(found.errors) <= MOST_FAULTS
        assert len(found.model_dump_json()) < ANSWER_BYTES


def test_of_many_faults_the_first_are_named_and_the_rest_counted() -> None:
    body = json.dumps({"candidates": [{}] * (MOST_FAULTS + 5)}).encode()
    found = parsed(body)
    assert isinstance(found, Problem)
    assert [fault.field for fault in found.errors] == [
        f"candidates.{n}.item_id" for n in range(MOST_FAULTS)
    ]
    assert "5 more" in found.detail


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=9,
)
FIELDS = st.sampled_from([*RankRequest.model_fields, "item_id", "text", "features"])
TIMES = st.datetimes(timezones=st.timezones()).map(str) | st.integers() | st.floats()


@given(
    st.dictionaries(FIELDS, JSON),
    st.lists(st.dictionaries(FIELDS, JSON) | st.just({"item_id": "a"}), max_size=4),
    TIMES,
)
def test_any_body_is_taken_or_gets_a_problem(
    fields: dict[str, object], candidates: list[object], timestamp: object
) -> None:
    for body in (fields, {**fields, "candidates": candidates, "timestamp": timestamp}):
        for form in (body, {"candidates": [{"item_id": "a"}], "timestamp": timestamp}):
            found = parsed(json.dumps(form).encode())
            assert isinstance(found, RankRequest) or 400 <= found.status < 500
