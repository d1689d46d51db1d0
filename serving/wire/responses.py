"""A problem document as an HTTP response."""

from starlette.responses import Response

from serving.wire import problems
from serving.wire.problems import Problem

RETRY_AFTER_S = 1


def problem_response(found: Problem, request_id: str) -> Response:
    """Write a problem document, with the request it belongs to."""
    headers = {"retry-after": str(RETRY_AFTER_S)} if found.status == 503 else None
    return Response(
        found.model_copy(update={"instance": f"urn:recsys:request:{request_id}"}).model_dump_json(),
        status_code=found.status,
        headers=headers,
        media_type=problems.MEDIA_TYPE,
    )
