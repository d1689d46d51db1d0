"""A small typed client of the ranking service."""

import time
from contextlib import AbstractContextManager

import httpx

from data_contracts.slates import RankRequest, RankResponse
from serving.wire.problems import MEDIA_TYPE, Problem

RANK = "/v1/rank"


class ProblemError(Exception):
    """The service refused a request.

    Args:
        problem: Its problem document, kept as the attribute `problem`.
    """

    def __init__(self, problem: Problem) -> None:
        faults = "; ".join(
            f"{fault.field}: found {fault.found}, expected {fault.expected}"
            for fault in problem.errors
        )
        super().__init__(f"{problem.status} {problem.title}: {problem.detail} {faults}".rstrip())
        self.problem = problem


class RankingClient(AbstractContextManager["RankingClient"]):
    """Ranks slates over HTTP on one keep-alive connection.

    Args:
        url: Where the service answers, such as `http://127.0.0.1:8000`.
        timeout_s: Time allowed per attempt, in seconds.
        attempts: How often a call is tried when the service is overloaded or cannot be reached.
        longest_wait_s: Longest wait between two attempts, in seconds.
        transport: Of httpx; the network when absent.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 10,
        attempts: int = 3,
        longest_wait_s: float = 2,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = httpx.Client(base_url=url, timeout=timeout_s, transport=transport)
        self._attempts = attempts
        self._longest_wait_s = longest_wait_s

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def rank(self, request: RankRequest) -> RankResponse:
        """Rank a slate.

        Args:
            request: The candidates and who they are for.

        Returns:
            The slate in its order.

        Raises:
            ProblemError: The service refused the request, or is overloaded still.
            httpx.ConnectError: The service cannot be reached.
        """
        body = request.model_dump_json(exclude_none=True)
        for attempt in range(1, self._attempts + 1):
            try:
                response = self._http.post(
                    RANK, content=body, headers={"content-type": "application/json"}
                )
            except httpx.ConnectError:
                if attempt == self._attempts:
                    raise
                wait_s = 0.1 * 2**attempt
            else:
                if response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    break
                wait_s = float(response.headers.get("retry-after", 0.1 * 2**attempt))
            if attempt < self._attempts:
                time.sleep(min(wait_s, self._longest_wait_s))
        if response.headers.get("content-type", "").startswith(MEDIA_TYPE):
            raise ProblemError(Problem.model_validate_json(response.content))
        response.raise_for_status()
        return RankResponse.model_validate_json(response.content)
