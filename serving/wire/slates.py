"""The wire format: a request's bytes to a slate, and a ranked slate to the answer's bytes."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import numpy as np
import orjson
from pydantic import ValidationError

from data_contracts.slates import Candidate, RankedSlate, RankRequest, Slate
from serving.settings import ServiceSettings
from serving.wire import problems
from serving.wire.problems import Problem

_DIGITS = 8
"""Of probabilities and matches, behind the point."""


@dataclass(frozen=True)
class Declared:
    """Names that a bundle reads of a request.

    Attributes:
        features: Numbers of a candidate, or of the context for all of them.
        context: Words of the context.
    """

    features: frozenset[str]
    context: frozenset[str]


def check_headers(
    content_type: str | None, encoding: str | None, length: str | None, limits: ServiceSettings
) -> Problem | None:
    """Refuse a request by its headers, before its body is read.

    Args:
        content_type: The header of that name, None when absent.
        encoding: The header `content-encoding`.
        length: The header `content-length`.
        limits: What is allowed.

    Returns:
        None when the body may be read.
    """
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        return problems.unsupported_media_type("content-type", content_type)
    if encoding not in (None, "", "identity"):
        return problems.unsupported_media_type("content-encoding", encoding)
    if length is not None and length.isdecimal() and int(length) > limits.max_body_bytes:
        return problems.body_too_large(int(length), limits.max_body_bytes)
    return None


def parse_request(body: bytes, limits: ServiceSettings) -> RankRequest | Problem:
    """Read and check the body of a ranking call."""
    try:
        request = RankRequest.model_validate_json(body)
    except ValidationError as error:
        return problems.from_validation(error)
    if len(request.candidates) > limits.max_candidates:
        return problems.too_many_candidates(len(request.candidates), limits.max_candidates)
    return request


def undeclared(request: RankRequest, declared: Declared) -> list[str]:
    """List names in a request that the bundle does not read, sorted, the first of them."""
    features = {name for each in request.candidates for name in each.features or ()}
    context = request.context.keys() - declared.context - declared.features
    return sorted({*(features - declared.features), *context})[: problems.MOST_FAULTS]


def to_slate(request: RankRequest, now: datetime, declared: Declared) -> Slate:
    """Bring a request into the form the ranker reads.

    Args:
        request: The body.
        now: Time of arrival, with its zone; used when the request has no timestamp.
        declared: What the bundle reads of a request; the rest is left out.

    Returns:
        The slate, with a request id even if the request has none.
    """
    candidates = request.candidates
    return Slate(
        request_id=request.request_id or uuid4().hex,
        item_ids=[candidate.item_id for candidate in candidates],
        timestamp=(request.timestamp or now).astimezone(UTC),
        user_id=request.user_id,
        query=request.query,
        texts=[candidate.text for candidate in candidates],
        context=request.context,
        given=_given(candidates, declared.features),
    )


def _given(candidates: list[Candidate], declared: Set[str]) -> dict[str, np.ndarray]:
    given: dict[str, np.ndarray] = {}
    features = [candidate.features for candidate in candidates]
    for index, numbers in enumerate(features):
        if not numbers:
            continue
        for name, value in numbers.items():
            if name not in declared:
                continue
            if name not in given:
                given[name] = np.full(len(candidates), np.nan, dtype=np.float32)
            given[name][index] = value
    return given


def to_response(
    slate: Slate,
    ranked: RankedSlate,
    *,
    policy: str,
    count: int,
    ignored: Sequence[str],
    timings_ms: dict[str, float],
) -> bytes:
    """Write the answer, a `RankResponse`, as JSON.

    Args:
        slate: The request.
        ranked: Its order; NaN becomes null.
        policy: Name of the bundle.
        count: How many of the best items the answer has.
        ignored: From `undeclared`.
        timings_ms: Milliseconds by stage.

    Returns:
        The body of the answer.
    """
    items: list[dict[str, object]] = [
        {"item_id": item_id, "score": score, "p_click": p_click, "interest_match": match}
        for item_id, score, p_click, match in zip(
            ranked.item_ids[:count],
            ranked.scores[:count].tolist(),
            _values(ranked.p_click, count),
            _values(ranked.interest_match, count),
            strict=True,
        )
    ]
    for item, contributions in zip(items, ranked.contributions or (), strict=False):
        item["contributions"] = contributions
    for item, shares in zip(items, ranked.history_shares or (), strict=False):
        item["history_shares"] = shares
    return orjson.dumps(
        {
            "request_id": slate.request_id,
            "policy": policy,
            "rung": ranked.rung,
            "items": items,
            "unknown_items": list(ranked.unknown_items),
            "ignored": list(ignored),
            "timings_ms": {stage: round(spent, 3) for stage, spent in timings_ms.items()},
        },
        option=orjson.OPT_SERIALIZE_NUMPY,
    )


def _values(column: np.ndarray | None, count: int) -> list[float | None]:
    """Give numbers with as many digits as say something, which makes half the answer's length."""
    if column is None:
        return [None] * count
    return list(np.round(column[:count].astype(np.float64), _DIGITS).tolist())
