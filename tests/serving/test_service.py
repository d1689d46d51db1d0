"""The whole service over HTTP, through the ingress, on a local Ray."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from data_contracts.slates import Candidate, RankRequest, RankResponse
from serving.client import ProblemError, RankingClient
from serving.wire.problems import MEDIA_TYPE, Problem
from tests.serving.conftest import BODY_TIMEOUT_S, MAX_IN_FLIGHT, Served
from tests.serving.doubles import SLOW_WORD

pytestmark = pytest.mark.serve
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[RankingClient]:
    with RankingClient(served.url) as client:
        yield client


@pytest.fixture(scope="module")
def http(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, timeout=30) as client:
        yield client


def request_for(*item_ids: str, **fields: object) -> RankRequest:
    candidates = [Candidate(item_id=item_id) for item_id in item_ids]
    return RankRequest.model_validate({"candidates": candidates, **fields})


def test_every_candidate_is_answered_once_best_first(served: Served, client: RankingClient) -> None:
    given = list(served.known[:100])
    answer = client.rank(request_for(*given, user_id="someone", request_id="r-1"))
    assert sorted(item.item_id for item in answer.items) == sorted(given)
    scores = [item.score for item in answer.items]
    assert scores == sorted(scores, reverse=True)
    assert (answer.request_id, answer.rung, answer.unknown_items) == ("r-1", "full", [])
    assert {"parse", "encode", "features", "match", "score", "total"} <= answer.timings_ms.keys()


def test_the_order_given_does_not_matter(served: Served, client: RankingClient) -> None:
    given = list(served.known[:30])
    forwards = client.rank(request_for(*given, timestamp="2024-01-01T00:00:00Z"))
    backwards = client.rank(request_for(*reversed(given), timestamp="2024-01-01T00:00:00Z"))
    assert {i.item_id: i.score for i in forwards.items} == pytest.approx(
        {i.item_id: i.score for i in backwards.items}
    )


def test_an_unknown_item_with_text_is_encoded_and_one_without_is_ranked_all_the_same(
    served: Served, client: RankingClient
) -> None:
    request = RankRequest(
        candidates=[
            Candidate(item_id=served.known[0]),
            Candidate(item_id="new-with-text", text="a red scarf of soft wool"),
            Candidate(item_id="new-without-text"),
        ]
    )
    answer = client.rank(request)
    match = {item.item_id: item.interest_match for item in answer.items}
    assert answer.rung == "full"
    assert sorted(answer.unknown_items) == ["new-with-text", "new-without-text"]
    assert match["new-with-text"] is not None
    assert match["new-without-text"] is None


def test_top_k_and_explain(served: Served, client: RankingClient) -> None:
    given = served.known[:20]
    whole = client.rank(request_for(*given, timestamp="2024-01-01T00:00:00Z"))
    best = client.rank(request_for(*given, timestamp="2024-01-01T00:00:00Z", top_k=3, explain=True))
    assert [i.item_id for i in best.items] == [i.item_id for i in whole.items[:3]]
    assert all(item.contributions for item in best.items)
    assert all(item.contributions is None for item in whole.items)


def test_no_time_at_all_gives_the_order_that_came_in(served: Served, client: RankingClient) -> None:
    given = list(served.known[:10])
    answer = client.rank(request_for(*given, deadline_ms=0.001))
    assert answer.rung == "given_order"
    assert [item.item_id for item in answer.items] == given


def test_many_callers_with_texts_at_once_each_get_their_own_answer(served: Served) -> None:
    async def all_at_once() -> list[RankResponse]:
        async with httpx.AsyncClient(base_url=served.url, timeout=30) as http:
            bodies = [
                {
                    "request_id": f"r-{number}",
                    "candidates": [
                        {"item_id": f"own-{number}", "text": f"text of caller {number}"},
                        {"item_id": "shared", "text": "a text all callers have"},
                    ],
                }
                for number in range(MAX_IN_FLIGHT - 1)
            ]
            answers = await asyncio.gather(*(http.post("/v1/rank", json=body) for body in bodies))
        return [RankResponse.model_validate_json(answer.content) for answer in answers]

    for number, answer in enumerate(asyncio.run(all_at_once())):
        assert answer.request_id == f"r-{number}"
        assert {item.item_id for item in answer.items} == {f"own-{number}", "shared"}
        assert all(item.interest_match is not None for item in answer.items)


def test_more_callers_than_allowed_are_refused_at_once_and_told_when_to_come_again(
    served: Served, bundle_folder: object
) -> None:
    if bundle_folder is not None:
        pytest.skip("needs the encoder that can be made slow")

    async def flood() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=served.url, timeout=60, limits=limits) as http:
            return await asyncio.gather(
                *(
                    http.post(
                        "/v1/rank",
                        json={"candidates": [{"item_id": "new", "text": f"{SLOW_WORD} {number}"}]},
                    )
                    for number in range(3 * MAX_IN_FLIGHT)
                )
            )

    answers = asyncio.run(flood())
    assert {answer.status_code for answer in answers} == {200, 503}
    for answer in answers:
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            assert answer.headers["content-type"] == MEDIA_TYPE
            assert int(answer.headers["retry-after"]) > 0
            assert Problem.model_validate_json(answer.content).title == "Overloaded"


@pytest.mark.parametrize(
    ("half", "status"),
    [
        (b"POST /v1/rank HTTP/1.1\r\nhost: x\r\ncontent-", b""),
        (
            b"POST /v1/rank HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b'content-length: 1000\r\n\r\n{"candidates": [',
            b"HTTP/1.1 408",
        ),
    ],
    ids=["head", "body"],
)
def test_who_sends_half_a_request_keeps_nobody_out_and_is_cut_off(
    served: Served, client: RankingClient, half: bytes, status: bytes
) -> None:
    with ExitStack() as open_ones:
        callers = [
            open_ones.enter_context(
                socket.create_connection(
                    (served.settings.host, served.settings.port), timeout=4 * BODY_TIMEOUT_S
                )
            )
            for _ in range(10 * MAX_IN_FLIGHT)
        ]
        for caller in callers:
            caller.sendall(half)
        assert client.rank(request_for(served.known[0])).rung == "full"
        assert all(caller.recv(100).startswith(status) for caller in callers)


def test_a_refusal_reaches_the_client_as_its_problem_document(
    served: Served, client: RankingClient
) -> None:
    request = request_for(*(f"item-{number}" for number in range(10_000)))
    with pytest.raises(ProblemError, match="max_candidates") as refusal:
        client.rank(request)
    fault = refusal.value.problem.errors[0]
    assert (fault.field, fault.found) == ("candidates", "10,000")
    assert fault.expected == f"at most {served.settings.max_candidates:,}"


def test_a_body_above_the_limit_is_refused_whether_its_length_is_told_or_not(
    served: Served, http: httpx.Client
) -> None:
    length = served.settings.max_body_bytes + 1
    told = http.post("/v1/rank", content=b" " * length, headers=JSON)
    untold = http.post("/v1/rank", content=iter([b" " * length]), headers=JSON)
    for answer in (told, untold):
        assert answer.status_code == 413
        assert Problem.model_validate_json(answer.content).errors[0].field == "body"


def test_the_service_tells_that_it_lives_is_ready_and_what_it_serves(http: httpx.Client) -> None:
    assert http.get("/healthz").status_code == 200
    ready, model = http.get("/readyz").json(), http.get("/v1/model").json()
    assert ready["status"] == "ready"
    assert ready["fingerprint"] == model["fingerprint"]
    assert ready["version"] == model["version"]
    assert {"policy", "manifest"} <= model.keys()


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nowhere", 404), ("GET", "/v1/rank", 405)]
)
def test_what_is_not_served_is_a_problem_document_too(
    http: httpx.Client, method: str, path: str, status: int
) -> None:
    answer = http.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert Problem.model_validate_json(answer.content).status == status
