"""How far the callers' timestamps move what a served bundle answers as of (docs/decisions/0010)."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import numpy as np

from data_contracts.slates import RankResponse
from recsys.bundle.bundle import Bundle
from serving.api import build_api
from serving.ranking.loading import BundleModel, load_model
from serving.ranking.service import RankingService
from serving.telemetry.metrics import RankingTelemetry, make_log
from tests.serving.doubles import settings_for

HOUR = timedelta(hours=1)
# Whole weeks: hour and weekday, which always go by the request's own time, stay the same.
LATER = timedelta(weeks=60)
Ranked = dict[str, tuple[float, float | None]]


async def _no_encoder(texts: Sequence[str], fingerprint: str) -> np.ndarray:
    raise AssertionError(texts, fingerprint)


def ask(folder: Path, *moments: datetime) -> list[Ranked]:
    """Ask a bundle that was loaded afresh, at one moment after the other."""
    settings = settings_for(bundle=folder)
    model: BundleModel = load_model(settings)
    service = RankingService(model, _no_encoder, settings, RankingTelemetry(make_log()))
    body = {
        "candidates": [{"item_id": item} for item in model.sample_items(30)],
        "user_id": model.sample_users(1)[0],
    }

    async def one_by_one() -> list[httpx.Response]:
        transport = httpx.ASGITransport(build_api(service))
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as http:
            return [
                await http.post("/v1/rank", json={**body, "timestamp": moment.isoformat()})
                for moment in moments
            ]

    answers = [RankResponse.model_validate_json(each.content) for each in asyncio.run(one_by_one())]
    assert {answer.rung for answer in answers} == {"full"}
    return [
        {item.item_id: (item.score, item.interest_match) for item in answer.items}
        for answer in answers
    ]


def test_a_request_moves_the_clock_an_hour_beyond_the_last_event_and_no_further(
    tiny_bundle_folder: Path, tiny_bundle: Bundle
) -> None:
    cut_off = tiny_bundle.as_of
    (at_the_limit,) = ask(tiny_bundle_folder, cut_off + HOUR)
    assert ask(tiny_bundle_folder, cut_off + HOUR + LATER) == [at_the_limit]
    assert ask(tiny_bundle_folder, cut_off) != [at_the_limit]


def test_a_request_of_the_far_future_spoils_nothing_for_those_that_follow(
    tiny_bundle_folder: Path, tiny_bundle: Bundle
) -> None:
    soon = tiny_bundle.as_of + HOUR
    (expected,) = ask(tiny_bundle_folder, soon)
    assert ask(tiny_bundle_folder, soon + LATER * 100, soon)[1] == expected
