"""Features of answered requests, as the parity command reads them."""

import asyncio
from io import BytesIO
from pathlib import Path

import numpy as np
import orjson
import pytest
from fastapi.testclient import TestClient

from data_contracts.slates import Candidate, RankRequest
from recsys.bundle.bundle import load_bundle
from recsys.workspace.checks import read_served
from serving.api import RANK, build_api
from serving.ranking.loading import load_model
from serving.ranking.service import RankingService
from serving.settings import ServiceSettings
from serving.telemetry.metrics import RankingTelemetry, make_log
from serving.telemetry.served_features import ServedLog


def test_lines_keep_the_contract(tmp_path: Path) -> None:
    log = ServedLog(tmp_path / "made" / "here", "hash")
    log.write("r1", ["a", "b"], np.array([[1, np.nan], [0.1, -2]], np.float32))
    log.write("r2", ["a"], np.array([[3, 4]], np.float32))
    rows = read_served(tmp_path / "made" / "here")
    assert rows.select("request_id", "item_id").rows() == [("r1", "a"), ("r1", "b"), ("r2", "a")]
    assert rows["values"].to_list() == [[1, None], [float(np.float32(0.1)), -2], [3, 4]]
    assert rows["schema_hash"].unique().to_list() == ["hash"]


def test_a_share_of_the_requests_is_written_the_same_everywhere(tmp_path: Path) -> None:
    requests = [f"request-{number}" for number in range(400)]
    for folder in ("one", "two"):
        log = ServedLog(tmp_path / folder, "hash", 0.25)
        for request in requests:
            log.write(request, ["a"], np.ones((1, 1), np.float32))
    first, second = (
        read_served(tmp_path / name)["request_id"].to_list() for name in ("one", "two")
    )
    assert first == second
    assert 60 < len(first) < 140
    ServedLog(tmp_path / "none", "hash", 0).write("r", ["a"], np.ones((1, 1), np.float32))
    assert not list((tmp_path / "none").iterdir())


@pytest.fixture
def client(tiny_bundle_folder: Path, tmp_path: Path) -> TestClient:
    settings = ServiceSettings(bundle=tiny_bundle_folder, served_features=tmp_path / "served")

    async def encode(texts: object, fingerprint: str) -> np.ndarray:
        await asyncio.sleep(0)
        raise RuntimeError("no encoder here")

    telemetry = RankingTelemetry(make_log(BytesIO()))
    return TestClient(build_api(RankingService(load_model(settings), encode, settings, telemetry)))


def test_a_service_writes_what_its_ranker_got(
    client: TestClient, tiny_bundle_folder: Path, tmp_path: Path
) -> None:
    bundle = load_bundle(tiny_bundle_folder)
    items, user = list(bundle.known_items[:9]), bundle.user_ids[0]
    request = RankRequest(
        candidates=[Candidate(item_id=item) for item in items],
        user_id=user,
        request_id="asked",
        timestamp=bundle.as_of,
    )
    answer = client.post(RANK, json=orjson.loads(request.model_dump_json(exclude_none=True)))
    assert answer.status_code == 200
    features = bundle.features
    wanted, _ = features.read(features.rows(items, user, features.clock, {}))
    rows = read_served(tmp_path / "served").sort("item_id")
    order = np.argsort(items)
    assert rows["item_id"].to_list() == [items[place] for place in order]
    assert rows["schema_hash"].unique().to_list() == [features.features.schema_hash]
    found = np.array(rows["values"].to_list(), np.float32)
    np.testing.assert_array_equal(found, wanted[order])
