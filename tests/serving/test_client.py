import httpx
import pytest

from data_contracts.slates import Candidate, RankRequest, RankResponse
from serving.client import ProblemError, RankingClient
from serving.wire import problems
from serving.wire.responses import problem_response

REQUEST = RankRequest(candidates=[Candidate(item_id="a")], request_id="r")
ANSWER = RankResponse(
    request_id="r", policy="p", rung="full", items=[], unknown_items=[], timings_ms={}
)


def overloaded() -> httpx.Response:
    refused = problem_response(problems.overloaded("1 request is being answered"), "r")
    return httpx.Response(
        503, headers={**refused.headers, "retry-after": "0"}, content=bytes(refused.body)
    )


def client_of(*answers: httpx.Response | Exception) -> tuple[RankingClient, list[httpx.Request]]:
    left, seen = list(answers), []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    transport = httpx.MockTransport(handle)
    return RankingClient("http://service", longest_wait_s=0, transport=transport), seen


def test_the_answer_comes_back_typed_and_the_request_as_it_was() -> None:
    client, seen = client_of(httpx.Response(200, content=ANSWER.model_dump_json()))
    assert client.rank(REQUEST) == ANSWER
    assert RankRequest.model_validate_json(seen[0].content) == REQUEST
    assert seen[0].headers["content-type"] == "application/json"


def test_overload_and_refused_connections_are_tried_again() -> None:
    client, seen = client_of(
        overloaded(),
        httpx.ConnectError("refused"),
        httpx.Response(200, content=ANSWER.model_dump_json()),
    )
    assert client.rank(REQUEST) == ANSWER
    assert len(seen) == 3


def test_trying_again_has_an_end() -> None:
    client, seen = client_of(*[overloaded() for _ in range(5)])
    with pytest.raises(ProblemError, match="Overloaded"):
        client.rank(REQUEST)
    assert len(seen) == 3
    client, seen = client_of(*[httpx.ConnectError("refused") for _ in range(5)])
    with pytest.raises(httpx.ConnectError):
        client.rank(REQUEST)
    assert len(seen) == 3


def test_a_refusal_is_not_tried_again() -> None:
    refused = problem_response(problems.too_many_candidates(2000, 1000), "r")
    client, seen = client_of(
        httpx.Response(422, headers=refused.headers, content=bytes(refused.body)), overloaded()
    )
    with pytest.raises(ProblemError) as error:
        client.rank(REQUEST)
    assert error.value.problem.errors[0].field == "candidates"
    assert len(seen) == 1


def test_an_answer_of_something_else_is_an_http_error() -> None:
    client, _ = client_of(httpx.Response(502, content=b"<html>", request=None))
    with pytest.raises(httpx.HTTPStatusError):
        client.rank(REQUEST)
