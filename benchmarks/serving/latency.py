"""How much ranking 100 known candidates costs over an empty endpoint of the same application.

One keep-alive connection, one request after the other, in blocks that take turns, so that noise
hits both alike. The last line printed is a JSON object.

    python -m benchmarks.serving.latency BUNDLE [--requests 1000] [--user USER]
"""

import argparse
import json
import os
import statistics
from collections.abc import Sequence
from http.client import HTTPConnection
from pathlib import Path
from time import perf_counter

from data_contracts.slates import Candidate, RankRequest, RankResponse
from serving.api import HEALTH, RANK
from serving.runtime.run import serve_bundle
from serving.settings import ServiceSettings

TARGET_RATIO = 4.0
CANDIDATES = 100
BLOCK = 50
HEADERS = {"content-type": "application/json"}


def measure(
    host: str, port: int, items: Sequence[str], user_id: str | None, requests: int
) -> dict[str, object]:
    """Time both endpoints.

    Args:
        host: Where the service answers.
        port: On which port.
        items: Known items, the candidates.
        user_id: Who they are ranked for; None for a guest.
        requests: How many requests to time at each endpoint.

    Returns:
        Milliseconds and the ratio of the medians, ready for JSON.
    """
    body = RankRequest(
        candidates=[Candidate(item_id=item) for item in items], user_id=user_id
    ).model_dump_json(exclude_none=True)
    connection = HTTPConnection(host, port, timeout=30)
    empty_ms: list[float] = []
    rank_ms: list[float] = []
    stages: dict[str, list[float]] = {}
    for block in range(-1, max(1, requests // BLOCK)):
        empty = [_timed(connection, "GET", HEALTH, None)[0] for _ in range(BLOCK)]
        ranked = [_timed(connection, "POST", RANK, body.encode()) for _ in range(BLOCK)]
        if block < 0:
            continue
        empty_ms += empty
        rank_ms += [spent for spent, _ in ranked]
        for _, answer in ranked:
            told = RankResponse.model_validate_json(answer)
            assert told.rung == "full"
            assert len(told.items) == len(items)
            for stage, spent in told.timings_ms.items():
                stages.setdefault(stage, []).append(spent)
    connection.close()
    return {
        "benchmark": "serving_latency",
        "candidates": len(items),
        "requests": len(rank_ms),
        "cpus": os.cpu_count(),
        "empty_p50_ms": _quantile(empty_ms, 50),
        "empty_p99_ms": _quantile(empty_ms, 99),
        "rank_p50_ms": _quantile(rank_ms, 50),
        "rank_p99_ms": _quantile(rank_ms, 99),
        "stages_p50_ms": {stage: _quantile(spent, 50) for stage, spent in stages.items()},
        "ratio_of_medians": round(statistics.median(rank_ms) / statistics.median(empty_ms), 2),
        "target_ratio": TARGET_RATIO,
    }


def report(result: dict[str, object]) -> None:
    """Print a result as text, and as JSON on the last line."""
    print(f"{'':10} {'p50 ms':>8} {'p99 ms':>8}")
    for name in ("empty", "rank"):
        print(f"{name:10} {result[f'{name}_p50_ms']:>8} {result[f'{name}_p99_ms']:>8}")
    print(f"inside rank, p50 ms: {result['stages_p50_ms']}")
    print(f"ratio of medians {result['ratio_of_medians']}, target at most {TARGET_RATIO}")
    print(json.dumps(result))


def _timed(
    connection: HTTPConnection, method: str, path: str, body: bytes | None
) -> tuple[float, bytes]:
    started = perf_counter()
    connection.request(method, path, body, HEADERS)
    response = connection.getresponse()
    answer = response.read()
    spent_ms = (perf_counter() - started) * 1e3
    assert response.status == 200, answer
    return spent_ms, answer


def _quantile(values: Sequence[float], percent: int) -> float:
    return round(statistics.quantiles(values, n=100, method="inclusive")[percent - 1], 3)


def main() -> None:
    """Start the service on a bundle and measure it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path, help="folder of the bundle to serve")
    parser.add_argument("--requests", type=int, default=1000, help="per endpoint")
    parser.add_argument("--user", help="who to rank for; the bundle's first user when absent")
    parser.add_argument("--port", type=int, default=8765)
    arguments = parser.parse_args()

    from serving.ranking.loading import load_model  # noqa: PLC0415 - after --help

    settings = ServiceSettings(bundle=arguments.bundle, port=arguments.port, log_to_console=False)
    model = load_model(settings)
    items = model.sample_items(CANDIDATES)
    user_id = arguments.user or next(iter(model.sample_users(1)), None)
    del model
    with serve_bundle(settings, blocking=False):
        report(measure(settings.host, settings.port, items, user_id, arguments.requests))


if __name__ == "__main__":
    main()
