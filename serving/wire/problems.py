"""Errors on the wire: problem documents (RFC 9457) that name the field at fault."""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

MEDIA_TYPE = "application/problem+json"
FOUND_LENGTH = 80
MOST_FAULTS = 20
"""Fields at fault that an answer names."""
_COUNTED_ONLY = 20_000
"""Faults from which on they are only counted: to list them would take longer than to rank."""


class FieldFault(BaseModel):
    """A fault of one field of the request."""

    model_config = ConfigDict(frozen=True)

    field: str = Field(description="Path of the field, such as `candidates.3.item_id`.")
    found: str | None = Field(None, description="What stands there; null when nothing does.")
    expected: str = Field(description="What should stand there.")


class Problem(BaseModel):
    """A problem document."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(description="Kind of the problem, stable over versions.")
    title: str = Field(description="The kind in words, the same for each such problem.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What happened here, and what to do.")
    instance: str | None = Field(None, description="The request, as it stands in the log.")
    errors: list[FieldFault] = Field(default_factory=list, description="The fields at fault.")


def problem(status: int, title: str, detail: str, errors: Sequence[FieldFault] = ()) -> Problem:
    """Make a problem document; its type is derived from the title."""
    kind = "urn:recsys:problem:" + title.lower().replace(" ", "-")
    return Problem(type=kind, title=title, status=status, detail=detail, errors=list(errors))


def body_too_large(found: int | None, limit: int) -> Problem:
    """413: the body is longer than allowed; `found` is None when reading stopped at the limit."""
    length = "more" if found is None else f"{found:,} bytes"
    return problem(
        413,
        "Body too large",
        "Send fewer candidates or shorter texts; the limit is the setting max_body_bytes.",
        [FieldFault(field="body", found=length, expected=f"at most {limit:,} bytes")],
    )


def unsupported_media_type(header: str, found: str | None) -> Problem:
    """415: the body is not declared as JSON, or is compressed."""
    expected = "application/json" if header == "content-type" else "no encoding of the content"
    return problem(
        415,
        "Unsupported media type",
        f"Send the body as JSON, with the header {header} saying so.",
        [FieldFault(field=header, found=found, expected=expected)],
    )


def too_many_candidates(found: int, limit: int) -> Problem:
    """422: the slate is longer than allowed."""
    return problem(
        422,
        "Too many candidates",
        "Send the best candidates of your retrieval only; the limit is the setting max_candidates.",
        [FieldFault(field="candidates", found=f"{found:,}", expected=f"at most {limit:,}")],
    )


def body_too_slow(limit_s: float) -> Problem:
    """408: the body did not arrive in time."""
    return problem(
        408,
        "Body too slow",
        f"Send the whole body within {limit_s:g} seconds; the limit is the setting body_timeout_s.",
    )


def overloaded(found: str) -> Problem:
    """503: too many requests are in flight, or too many bytes of bodies half sent."""
    return problem(
        503,
        "Overloaded",
        f"{found} already; try again after the time in Retry-After.",
    )


def internal_error() -> Problem:
    """500: the service failed; the log has the cause."""
    return problem(
        500, "Internal error", "The service failed on this request; its log tells more by instance."
    )


def from_validation(error: ValidationError) -> Problem:
    """Turn pydantic's findings about a request's body into a problem document.

    Args:
        error: What `RankRequest.model_validate_json` raised.

    Returns:
        Status 400 when the body is no JSON, 422 otherwise.
    """
    count = error.error_count()
    if count > _COUNTED_ONLY:
        fault = FieldFault(field="body", found=f"{count:,} faults", expected="a ranking call")
        return problem(422, "Invalid request", "See the contract in /openapi.json.", [fault])
    details = error.errors(include_url=False)
    if details[0]["type"] == "json_invalid":
        reason = str(details[0]["ctx"]["error"])
        fault = FieldFault(field="body", found=reason, expected="one JSON object in UTF-8")
        return problem(400, "Malformed JSON", "Correct the body; see found.", [fault])
    more = f" {count - MOST_FAULTS:,} more are at fault." if count > MOST_FAULTS else ""
    return problem(
        422,
        "Invalid request",
        f"Correct the fields under errors; /openapi.json has the whole contract.{more}",
        [_field_fault(detail) for detail in details[:MOST_FAULTS]],
    )


def _field_fault(detail: ErrorDetails) -> FieldFault:
    location, given = detail["loc"], detail["input"]
    if not location and isinstance(given, Mapping) and (twice := _repeated(given)) is not None:
        return FieldFault(
            field=f"candidates.{twice[0]}.item_id",
            found=_shorten(twice[1]),
            expected="an item that does not stand among the candidates already",
        )
    return FieldFault(
        field=".".join(map(_shorten, location)) or "body",
        found=None if detail["type"] == "missing" else _shorten(given),
        expected=detail["msg"],
    )


def _repeated(body: Mapping[str, object]) -> tuple[int, str] | None:
    candidates = body.get("candidates")
    seen: set[str] = set()
    for index, candidate in enumerate(candidates if isinstance(candidates, list) else ()):
        item_id = candidate["item_id"]
        if item_id in seen:
            return index, item_id
        seen.add(item_id)
    return None


def _shorten(value: object) -> str:
    match value:
        case str() if len(value) > FOUND_LENGTH:
            return f"{len(value):,} characters"
        case list():
            return f"a list of {len(value):,}"
        case dict():
            return "an object"
        case None:
            return "null"
        case _:
            return str(value)[:FOUND_LENGTH]
