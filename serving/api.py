"""The HTTP interface: routes, errors of the framework as problem documents, and the contract."""

from http import HTTPStatus
from typing import Any
from uuid import uuid4

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException

from data_contracts.slates import WIRE_VERSION, RankRequest, RankResponse
from serving.ranking.service import RankingService
from serving.wire import problems
from serving.wire.problems import Problem
from serving.wire.responses import problem_response

TITLE = "Ranking"
RANK = "/v1/rank"
MODEL = "/v1/model"
HEALTH = "/healthz"
READY = "/readyz"
SCHEMAS = "#/components/schemas/"


class Api(FastAPI):
    """FastAPI with the wire models in its OpenAPI document; the handlers read and write bytes."""

    def openapi(self) -> dict[str, Any]:
        """Give the OpenAPI document."""
        if not self.openapi_schema:
            document = get_openapi(
                title=self.title, version=self.version, routes=self.routes, summary=self.summary
            )
            _, schemas = models_json_schema(
                [
                    (RankRequest, "validation"),
                    (RankResponse, "serialization"),
                    (Problem, "serialization"),
                ],
                ref_template=SCHEMAS + "{model}",
            )
            components = document.setdefault("components", {}).setdefault("schemas", {})
            components.update(schemas["$defs"])
            self.openapi_schema = document
        return self.openapi_schema


def build_api(service: RankingService) -> FastAPI:
    """Put the routes of a ranking service together."""
    api = Api(
        title=TITLE,
        version=str(WIRE_VERSION),
        summary="Puts a slate of candidates in the order a user most likely wants.",
        docs_url=None,
        redoc_url=None,
    )

    async def rank(request: Request) -> Response:
        """Rank a slate."""
        return await service.answer(request)

    async def model() -> Response:
        """Give the policy, and the version of its bundle with the manifests."""
        return _json(
            {
                "policy": service.model.name,
                "version": service.model.version,
                "fingerprint": service.model.fingerprint,
                "manifest": service.model.summary(),
            }
        )

    async def healthz() -> Response:
        """Answer 200 while the process lives."""
        return _json({"status": "alive"})

    async def readyz() -> Response:
        """Answer 200 once bundle and encoder are loaded and warm, 503 before."""
        if not await service.is_ready():
            loading = "The bundle or its encoder is being loaded; try again."
            return problem_response(
                problems.problem(503, "Not ready", loading),
                uuid4().hex,
            )
        model = service.model
        return _json(
            {"status": "ready", "version": model.version, "fingerprint": model.fingerprint}
        )

    api.add_api_route(RANK, rank, methods=["POST"], openapi_extra=_rank_contract())
    for path, endpoint in ((MODEL, model), (HEALTH, healthz), (READY, readyz)):
        api.add_api_route(path, endpoint, methods=["GET"], response_class=Response)
    _answer_errors(api, service)
    return api


def _answer_errors(api: FastAPI, service: RankingService) -> None:
    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        detail = (
            f"{request.method} is not answered here."
            if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED
            else "Nothing is served at this path."
        )
        title = HTTPStatus(error.status_code).phrase.capitalize()
        detail += " /openapi.json lists all paths and their methods."
        response = problem_response(problems.problem(error.status_code, title, detail), uuid4().hex)
        response.headers.update(error.headers or {})
        return response

    async def failed(_: Request, error: Exception) -> Response:
        request_id = uuid4().hex
        service.telemetry.failed(request_id, error)
        return problem_response(problems.internal_error(), request_id)

    api.add_exception_handler(HTTPException, refused)
    api.add_exception_handler(Exception, failed)


def _rank_contract() -> dict[str, Any]:
    def content(media_type: str, model: type[BaseModel]) -> dict[str, Any]:
        return {"content": {media_type: {"schema": {"$ref": SCHEMAS + model.__name__}}}}

    refusals = {
        "400": "The body is no JSON.",
        "408": "The body did not arrive in time.",
        "413": "The body is longer than allowed.",
        "415": "The body is not declared as plain JSON.",
        "422": "A field does not fit; errors names it.",
        "500": "The service failed.",
        "503": "Too many requests are being answered; Retry-After tells when to come again.",
    }
    ranked = {"description": "The slate in its order.", **content("application/json", RankResponse)}
    return {
        "requestBody": {"required": True, **content("application/json", RankRequest)},
        "responses": {"200": ranked}
        | {
            status: {"description": why, **content(problems.MEDIA_TYPE, Problem)}
            for status, why in refusals.items()
        },
    }


def _json(value: object) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")
