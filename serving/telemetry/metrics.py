"""One JSON log line a request, and Prometheus metrics.

Neither ever carries a text, a query or a user's id.
"""

import sys
import traceback
from collections.abc import Mapping
from typing import BinaryIO

import orjson
import structlog
from ray.serve.metrics import Counter, Histogram

from data_contracts.slates import Rung

LATENCY_MS = [1.0, 2, 3, 5, 7.5, 10, 15, 20, 30, 50, 75, 100, 150, 250, 500, 1000, 2500, 5000]
BATCH_TEXTS = [1.0, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]


def make_log(stream: BinaryIO | None = None) -> structlog.typing.FilteringBoundLogger:
    """Make a logger of JSON lines; `stream` is standard output when absent."""
    log: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        structlog.BytesLogger(stream or sys.stdout.buffer),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=_dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
    )
    return log


def _dumps(value: object, default: object) -> bytes:
    return orjson.dumps(value, default=str)


def where(error: BaseException) -> list[str]:
    """Give the frames of an error without its message, which may quote a user's text."""
    return [
        f"{frame.filename}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]


class RankingTelemetry:
    """Log and metrics of the ranking deployment."""

    def __init__(self, log: structlog.typing.FilteringBoundLogger) -> None:
        self._log = log
        self._requests = Counter(
            "recsys_requests",
            "Ranking calls answered.",
            tag_keys=("status", "rung"),  # type: ignore[arg-type]
        )
        self._latency = Histogram(
            "recsys_request_latency_ms",
            "Time from a ranking call's arrival to its answer.",
            boundaries=LATENCY_MS,
            tag_keys=("rung",),
        )
        self._stages = Histogram(
            "recsys_stage_latency_ms",
            "Time spent in one stage of a ranking call.",
            boundaries=LATENCY_MS,
            tag_keys=("stage",),
        )
        self._unseen = Counter(
            "recsys_unseen_values",
            "Attribute values of candidates that the bundle has not seen in training.",
        )
        self._fallbacks = Counter(
            "recsys_fallbacks",
            "Steps down the ladder by their cause.",
            tag_keys=("stage", "cause"),  # type: ignore[arg-type]
        )

    def answered(
        self,
        request_id: str,
        rung: Rung,
        candidates: int,
        unknown: int,
        unseen: int,
        timings_ms: Mapping[str, float],
    ) -> None:
        """Record a ranking call that was answered with an order."""
        self._requests.inc(tags={"status": "200", "rung": rung})
        if unseen:
            self._unseen.inc(unseen)
        for stage, spent in timings_ms.items():
            if stage == "total":
                self._latency.observe(spent, tags={"rung": rung})
            else:
                self._stages.observe(spent, tags={"stage": stage})
        self._log.info(
            "ranked",
            request_id=request_id,
            rung=rung,
            candidates=candidates,
            unknown=unknown,
            unseen=unseen,
            timings_ms={stage: round(spent, 3) for stage, spent in timings_ms.items()},
        )

    def refused(self, request_id: str, status: int, kind: str, spent_ms: float) -> None:
        """Record a ranking call that was answered with a problem document."""
        self._requests.inc(tags={"status": str(status), "rung": "none"})
        self._log.info(
            "refused", request_id=request_id, status=status, kind=kind, spent_ms=round(spent_ms, 3)
        )

    def stepped_down(self, request_id: str, stage: str, cause: BaseException | str) -> None:
        """Record that a stage was skipped, after an error or for lack of time."""
        name = cause if isinstance(cause, str) else type(cause).__name__
        self._fallbacks.inc(tags={"stage": stage, "cause": name})
        frames = [] if isinstance(cause, str) else where(cause)
        level = self._log.info if isinstance(cause, str) else self._log.error
        level("stepped down", request_id=request_id, stage=stage, cause=name, where=frames)

    def failed(self, request_id: str, error: BaseException) -> None:
        """Record an unexpected error."""
        self._log.error(
            "failed", request_id=request_id, error=type(error).__name__, where=where(error)
        )

    def ready(self, policy: str, version: str, fingerprint: str, spent_ms: float) -> None:
        """Record which bundle is loaded and warm."""
        self._log.info(
            "ready",
            policy=policy,
            version=version,
            fingerprint=fingerprint,
            warm_up_ms=round(spent_ms, 1),
        )


class EncoderTelemetry:
    """Metrics of the encoder deployment."""

    def __init__(self) -> None:
        self._batch = Histogram(
            "recsys_encoder_batch_texts",
            "Texts encoded in one batch, over all requests in it.",
            boundaries=BATCH_TEXTS,
        )
        self._spent = Histogram(
            "recsys_encoder_batch_ms", "Time to encode one batch.", boundaries=LATENCY_MS
        )
        self._shared = Counter(
            "recsys_encoder_shared_texts", "Texts that another request was having encoded already."
        )

    def encoded(self, texts: int, spent_ms: float) -> None:
        """Record a batch."""
        self._batch.observe(texts)
        self._spent.observe(spent_ms)

    def shared(self, texts: int) -> None:
        """Record the texts of a call that were in flight already."""
        if texts:
            self._shared.inc(texts)
