"""A trained bundle with its real encoder behind the whole service."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from data_contracts.slates import Candidate, RankRequest, RankResponse, Slate
from recsys.bundle.bundle import Bundle, load_bundle
from recsys.rank import rank, texts_to_encode
from recsys.training.texts import Texts
from serving.client import RankingClient
from serving.wire.problems import MEDIA_TYPE, Problem
from tests.serving.conftest import BUNDLE, Served

pytestmark = [
    pytest.mark.serve,
    pytest.mark.parametrize("bundle_folder", [BUNDLE], indirect=True, scope="session"),
]


@pytest.fixture
def unasked(tiny_bundle_folder: Path) -> Bundle:
    """The bundle as it is served: its clock, which requests move on, stands at the cut-off."""
    return load_bundle(tiny_bundle_folder)


@pytest.fixture
def client(served: Served) -> Iterator[RankingClient]:
    with RankingClient(served.url) as client:
        yield client


def request_for(bundle: Bundle, **fields: object) -> RankRequest:
    body = {
        "candidates": [{"item_id": item} for item in bundle.known_items[:30]],
        "user_id": bundle.user_ids[0],
        "timestamp": bundle.as_of,
    }
    return RankRequest.model_validate(body | fields)


def slate_of(request: RankRequest, bundle: Bundle) -> Slate:
    return Slate(
        "r",
        [candidate.item_id for candidate in request.candidates],
        bundle.as_of,
        user_id=request.user_id,
        texts=[candidate.text for candidate in request.candidates],
    )


def test_a_slate_is_ranked_as_in_process(client: RankingClient, unasked: Bundle) -> None:
    request = request_for(unasked, explain=True)
    expected = rank(unasked, slate_of(request, unasked), {}, explain=len(request.candidates))
    answer = client.rank(request)
    assert (answer.rung, answer.policy) == ("full", unasked.name)
    assert [item.item_id for item in answer.items] == expected.item_ids
    assert [item.score for item in answer.items] == pytest.approx(expected.scores.tolist())
    assert expected.p_click is not None
    assert [item.p_click for item in answer.items] == pytest.approx(expected.p_click.tolist())
    assert expected.contributions is not None
    for item, shares in zip(answer.items, expected.contributions, strict=True):
        assert item.contributions == pytest.approx(shares)


def test_a_text_is_encoded_on_the_spot_by_the_bundles_encoder(
    client: RankingClient, unasked: Bundle, tiny_texts: Texts
) -> None:
    text = "a warm scarf of soft wool, " * 30
    candidates = [
        Candidate(item_id=unasked.item_ids[0]),
        Candidate(item_id="new-with-text", text=text),
        Candidate(item_id="new-without-text"),
    ]
    request = request_for(unasked, candidates=candidates)
    answer = client.rank(request)
    (read,) = texts_to_encode(unasked, slate_of(request, unasked))
    vectors = {read: tiny_texts.encoder.encode([read])[0]}
    expected = rank(unasked, slate_of(request, unasked), vectors)
    assert expected.interest_match is not None
    match = {item.item_id: item.interest_match for item in answer.items}
    at = expected.item_ids.index("new-with-text")
    assert match["new-with-text"] == pytest.approx(float(expected.interest_match[at]), abs=1e-3)
    assert match["new-without-text"] is None
    assert sorted(answer.unknown_items) == ["new-with-text", "new-without-text"]


def test_a_guest_is_ranked_by_the_default_profile(
    client: RankingClient, tiny_bundle: Bundle
) -> None:
    guest, new = (
        client.rank(request_for(tiny_bundle, user_id=user)) for user in (None, "nobody knows me")
    )
    assert [item.interest_match for item in guest.items] != []
    assert {item.item_id: item.interest_match for item in guest.items} == pytest.approx(
        {item.item_id: item.interest_match for item in new.items}
    )


def test_top_k_is_the_head_of_the_whole(client: RankingClient, tiny_bundle: Bundle) -> None:
    whole = client.rank(request_for(tiny_bundle))
    best = client.rank(request_for(tiny_bundle, top_k=3))
    assert [item.item_id for item in best.items] == [item.item_id for item in whole.items[:3]]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"candidates": []}, "candidates"),
        ({"candidates": [{"item_id": "a"}, {"item_id": "a"}]}, "candidates.1.item_id"),
        ({"candidates": [{"item_id": "a"}], "timestamp": "2024-01-01T00:00:00"}, "timestamp"),
        ({"candidates": [{"item_id": 7}]}, "item_id"),
        ({"candidates": [{"item_id": "a"}], "unheard_of": 1}, "unheard_of"),
        ({"candidates": [{"item_id": str(n)} for n in range(10_000)]}, "candidates"),
        ({}, "candidates"),
    ],
)
def test_a_malformed_body_gets_a_problem_that_names_the_field(
    served: Served, body: dict[str, object], field: str
) -> None:
    answer = httpx.post(f"{served.url}/v1/rank", json=body, timeout=30)
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == MEDIA_TYPE
    problem = Problem.model_validate_json(answer.content)
    assert field in problem.model_dump_json()


def test_the_model_tells_its_manifest(served: Served, tiny_bundle: Bundle) -> None:
    model = httpx.get(f"{served.url}/v1/model", timeout=30).json()
    assert model["version"] == tiny_bundle.version.name
    assert model["fingerprint"] == tiny_bundle.fingerprint
    assert model["manifest"]["encoder_fingerprint"] == tiny_bundle.manifest.encoder_fingerprint
    ranked = httpx.post(
        f"{served.url}/v1/rank",
        json={"candidates": [{"item_id": tiny_bundle.known_items[0]}]},
        timeout=30,
    )
    assert RankResponse.model_validate_json(ranked.content).rung == "full"
