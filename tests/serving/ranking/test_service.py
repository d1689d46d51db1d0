"""The service without Ray: handlers called in this process."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import httpx
import numpy as np
import pytest

from data_contracts.slates import RankResponse, Rung
from serving.api import build_api
from serving.ranking import service as service_module
from serving.ranking.service import RankingService
from serving.telemetry.metrics import RankingTelemetry, make_log
from serving.wire.problems import MEDIA_TYPE, MOST_FAULTS, Problem
from tests.serving.doubles import FINGERPRINT, KNOWN, FakeEncoder, FakeModel, settings_for

MAX_BODY_BYTES = 100_000


@dataclass
class World:
    """A service with its parts in reach."""

    model: FakeModel = field(default_factory=FakeModel)
    encoder: FakeEncoder = field(default_factory=FakeEncoder)
    log: io.BytesIO = field(default_factory=io.BytesIO)
    encoder_error: Exception | None = None
    encoder_delay_s: float = 0.0
    warm: bool = True
    max_in_flight: int = 4
    max_explained: int = 50
    body_timeout_s: float = 10

    def service(self) -> RankingService:
        async def encode(texts: Sequence[str], fingerprint: str) -> np.ndarray:
            assert fingerprint == FINGERPRINT
            await asyncio.sleep(self.encoder_delay_s)
            if self.encoder_error is not None:
                raise self.encoder_error
            return self.encoder.encode(texts)

        settings = settings_for(
            max_in_flight=self.max_in_flight,
            max_explained=self.max_explained,
            body_timeout_s=self.body_timeout_s,
            max_body_bytes=MAX_BODY_BYTES,
        )
        telemetry = RankingTelemetry(make_log(self.log))
        service = RankingService(self.model, encode, settings, telemetry)
        if self.warm:
            service.warm_up()
        self.model.asked.clear()
        return service

    def post(self, *bodies: object) -> list[httpx.Response]:
        async def all_at_once() -> list[httpx.Response]:
            transport = httpx.ASGITransport(build_api(self.service()), raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://service") as http:
                return await asyncio.gather(*(http.post("/v1/rank", json=body) for body in bodies))

        return asyncio.run(all_at_once())

    def get(self, path: str) -> httpx.Response:
        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(build_api(self.service()))
            async with httpx.AsyncClient(transport=transport, base_url="http://service") as http:
                return await http.get(path)

        return asyncio.run(once())

    def rank(self, **body: object) -> RankResponse:
        (answer,) = self.post(body)
        assert answer.status_code == 200, answer.text
        return RankResponse.model_validate_json(answer.content)

    def log_lines(self, event: str) -> list[dict[str, object]]:
        lines = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]


KNOWN_CANDIDATES = [{"item_id": item} for item in KNOWN[:3]]
NEW_WITH_TEXT = [{"item_id": "new", "text": "four"}, *KNOWN_CANDIDATES]


def test_known_candidates_need_no_encoder() -> None:
    world = World(encoder_error=RuntimeError("must not be called"))
    answer = world.rank(candidates=KNOWN_CANDIDATES)
    assert answer.rung == "full"
    assert [item.item_id for item in answer.items] == KNOWN[2::-1]
    assert world.log_lines("stepped down") == []


def test_the_vector_of_an_inline_text_reaches_the_model() -> None:
    world = World()
    answer = world.rank(candidates=NEW_WITH_TEXT)
    assert world.encoder.batches == [["four"]]
    assert answer.items[0].interest_match == len("four")
    assert answer.unknown_items == ["new"]


@pytest.mark.parametrize(("top_k", "explained"), [(None, 3), (2, 2), (7, 3)])
def test_only_what_is_told_is_explained(top_k: int | None, explained: int) -> None:
    world = World(warm=False)
    world.rank(candidates=KNOWN_CANDIDATES, top_k=top_k, explain=True)
    world.rank(candidates=KNOWN_CANDIDATES, top_k=top_k)
    assert world.model.explained == [explained, 0]


def test_a_broken_encoder_costs_the_text_but_not_the_answer() -> None:
    world = World(encoder_error=RuntimeError("secret text"))
    answer = world.rank(candidates=NEW_WITH_TEXT)
    assert answer.rung == "cached_text"
    assert len(answer.items) == len(NEW_WITH_TEXT)
    (line,) = world.log_lines("stepped down")
    assert (line["stage"], line["cause"]) == ("encode", "RuntimeError")


def test_an_encoder_later_than_the_deadline_is_not_waited_for() -> None:
    world = World(encoder_delay_s=30)
    answer = world.rank(candidates=NEW_WITH_TEXT, deadline_ms=400)
    assert answer.rung == "cached_text"
    assert answer.timings_ms["total"] < 30_000


@pytest.mark.parametrize(
    ("broken", "asked"),
    [
        (["full"], ["full", "cached_text"]),
        (["full", "cached_text"], ["full", "cached_text", "no_text"]),
        (["full", "cached_text", "no_text"], ["full", "cached_text", "no_text", "given_order"]),
    ],
)
def test_a_rung_that_fails_is_stepped_down_from(broken: list[Rung], asked: list[Rung]) -> None:
    world = World(warm=False)
    world.model.broken = frozenset(broken)
    answer = world.rank(candidates=KNOWN_CANDIDATES)
    assert world.model.asked == asked
    assert answer.rung == asked[-1]
    assert len(world.log_lines("stepped down")) == len(broken)


def test_rungs_too_slow_for_the_deadline_are_not_begun() -> None:
    world = World(FakeModel(slow_ms={"full": 40, "cached_text": 40}))
    answer = world.rank(candidates=KNOWN_CANDIDATES, deadline_ms=45)
    assert (answer.rung, world.model.asked) == ("no_text", ["no_text"])


def test_when_nothing_works_the_answer_is_a_problem_that_keeps_its_secrets() -> None:
    world = World(warm=False)
    world.model.broken = frozenset(["full", "cached_text", "no_text", "given_order"])
    (answer,) = world.post({"candidates": KNOWN_CANDIDATES, "user_id": "secret-user"})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == MEDIA_TYPE
    problem = Problem.model_validate_json(answer.content)
    (line,) = world.log_lines("failed")
    assert line["error"] == "RuntimeError"
    assert problem.instance is not None
    assert "secret-user" not in answer.text
    assert b"secret-user" not in world.log.getvalue()


def test_names_that_the_bundle_does_not_read_are_told() -> None:
    body = {
        "candidates": [
            {"item_id": "a", "features": {"retreival": 1.0, "retrieval": 2.0}},
            {"item_id": "b", "features": {"bm25": 1.0}},
        ],
        "context": {"device": "phone", "retrieval": 1.0, "Device": "phone"},
    }
    (answer,) = World().post(body)
    assert answer.status_code == 200
    assert RankResponse.model_validate_json(answer.content).ignored == [
        "Device",
        "bm25",
        "retreival",
    ]
    many = {"candidates": [{"item_id": "a", "features": {f"n{n:03d}": 1.0 for n in range(99)}}]}
    (answer,) = World().post(many)
    told = RankResponse.model_validate_json(answer.content).ignored
    assert told == [f"n{n:03d}" for n in range(MOST_FAULTS)]


def test_bodies_that_never_end_keep_nobody_out_and_are_refused() -> None:
    async def half_a_body() -> AsyncIterator[bytes]:
        yield b'{"candidates": ['
        await asyncio.sleep(60)

    async def half_ones_and_a_whole_one() -> list[httpx.Response]:
        service = World(max_in_flight=2, body_timeout_s=0.3).service()
        transport = httpx.ASGITransport(build_api(service))
        headers = {"content-type": "application/json"}
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as http:
            half = [
                asyncio.ensure_future(http.post("/v1/rank", content=half_a_body(), headers=headers))
                for _ in range(5)
            ]
            await asyncio.sleep(0.05)
            whole = await http.post("/v1/rank", json={"candidates": KNOWN_CANDIDATES})
            return [whole, *await asyncio.gather(*half)]

    whole, *half = asyncio.run(half_ones_and_a_whole_one())
    assert whole.status_code == 200
    assert [answer.status_code for answer in half] == [408] * 5
    assert "body_timeout_s" in half[0].text


def test_bodies_half_read_are_held_up_to_as_much_as_whole_ones_may_be() -> None:
    async def most_of_a_body() -> AsyncIterator[bytes]:
        yield b" " * MAX_BODY_BYTES
        await asyncio.sleep(60)

    async def more_than_there_is_room_for() -> list[httpx.Response]:
        service = World(max_in_flight=2, body_timeout_s=0.3).service()
        transport = httpx.ASGITransport(build_api(service))
        headers = {"content-type": "application/json"}
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as http:
            answers = await asyncio.gather(
                *(
                    http.post("/v1/rank", content=most_of_a_body(), headers=headers)
                    for _ in range(3)
                )
            )
            return [*answers, await http.post("/v1/rank", json={"candidates": KNOWN_CANDIDATES})]

    answers = asyncio.run(more_than_there_is_room_for())
    assert sorted(answer.status_code for answer in answers) == [200, 408, 408, 503]
    (refused,) = (answer for answer in answers if answer.status_code == 503)
    assert f"{3 * MAX_BODY_BYTES:,} bytes" in refused.text


def test_as_many_items_are_explained_as_the_service_allows() -> None:
    world = World(max_explained=2, warm=False)
    world.rank(candidates=KNOWN_CANDIDATES, explain=True)
    world.rank(candidates=KNOWN_CANDIDATES, explain=True, top_k=1)
    assert world.model.explained == [2, 1]


def test_no_text_no_query_and_no_user_stands_in_the_log() -> None:
    world = World()
    world.rank(
        candidates=[{"item_id": "new", "text": "secret text"}],
        user_id="secret-user",
        session_id="secret-session",
        query="secret query",
        request_id="r-7",
    )
    assert b"secret" not in world.log.getvalue()
    (line,) = world.log_lines("ranked")
    assert (line["request_id"], line["rung"], line["candidates"]) == ("r-7", "full", 1)


def test_callers_above_the_limit_are_refused_while_the_others_are_answered() -> None:
    world = World(encoder_delay_s=0.05, max_in_flight=4)
    answers = world.post(*[{"candidates": NEW_WITH_TEXT}] * 10)
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] * 4 + [503] * 6


def test_the_limit_counts_only_callers_that_still_wait() -> None:
    world = World(max_in_flight=1)
    service = world.service()

    async def one_after_the_other() -> list[int]:
        transport = httpx.ASGITransport(build_api(service))
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as http:
            bodies: list[object] = [{"candidates": KNOWN_CANDIDATES}, {}, {"candidates": []}]
            return [(await http.post("/v1/rank", json=body)).status_code for body in bodies * 2]

    assert asyncio.run(one_after_the_other()) == [200, 422, 422] * 2


def test_ready_only_once_warm() -> None:
    assert World(warm=False).get("/readyz").status_code == 503
    assert World().get("/readyz").status_code == 200


def test_ready_only_once_the_encoder_answers_or_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "READY_WAIT_S", 0.01)
    loading = World(encoder_delay_s=30)
    assert loading.get("/readyz").status_code == 503
    assert World(encoder_error=RuntimeError("no memory")).get("/readyz").status_code == 200


def test_the_encoder_is_asked_once_for_readiness() -> None:
    world = World()
    service = world.service()

    async def twice() -> None:
        assert await service.is_ready()
        assert await service.is_ready()

    asyncio.run(twice())
    assert [list(texts) for texts in world.encoder.batches] == [["warm up"]]


def test_the_contract_names_the_wire_models_and_every_reference_resolves() -> None:
    document = World().get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    assert {"RankRequest", "RankResponse", "Problem", "Candidate"} <= schemas.keys()
    text = json.dumps(document)
    for reference in set(text.split('"$ref": "')[1:]):
        path = reference.partition('"')[0]
        assert path.removeprefix("#/components/schemas/") in schemas
    rank = document["paths"]["/v1/rank"]["post"]
    body = rank["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/RankRequest"}
    assert {"200", "400", "413", "415", "422", "503"} <= rank["responses"].keys()


def test_the_version_is_logged_at_the_start_and_told_by_the_model() -> None:
    world = World()
    told = world.get("/v1/model").json()
    lines = [json.loads(line) for line in world.log.getvalue().splitlines()]
    (ready,) = [line for line in lines if line["event"] == "ready"]
    for found in (told, ready, world.get("/readyz").json()):
        assert (found["version"], found["fingerprint"]) == (world.model.version, FINGERPRINT)
