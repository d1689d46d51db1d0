"""One ranking call from its bytes to the answer's bytes, whatever server carries it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import product
from time import perf_counter
from uuid import uuid4

import numpy as np
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from data_contracts.slates import RankedSlate, RankRequest, Rung, Slate
from serving.ranking.deadline import LADDER, MARGIN, Deadline, RungCosts
from serving.ranking.model import Model
from serving.settings import ServiceSettings
from serving.telemetry.metrics import RankingTelemetry
from serving.telemetry.served_features import ServedLog
from serving.wire import problems
from serving.wire import slates as wire
from serving.wire.problems import Problem
from serving.wire.responses import problem_response

# Encodes texts for the bundle of the given fingerprint, float32 [n_texts, dim].
Encode = Callable[[Sequence[str], str], Awaitable[np.ndarray]]

# Timers of a busy machine ring late; what is left must still do for ranking.
ENCODER_SHARE = 0.8
WARM_UP_SIZES = (1, 10, 100)
WARM_UP_ROUNDS = 3
READY_WAIT_S = 0.5
CLIENT_GONE = 499
EPOCH = datetime.fromtimestamp(0, UTC)


class RankingService:
    """Answers ranking calls with one bundle.

    Ranking itself runs in the event loop: it takes a few milliseconds, and a hop to a thread costs
    one.
    """

    def __init__(
        self, model: Model, encode: Encode, settings: ServiceSettings, telemetry: RankingTelemetry
    ) -> None:
        self.model = model
        self.telemetry = telemetry
        self.is_warm = False
        self._encoder_is_up = False
        self._encode = encode
        self._settings = settings
        self._costs = RungCosts()
        self._in_flight = 0
        self._half_read = 0
        self._served = (
            None
            if settings.served_features is None
            else ServedLog(
                settings.served_features, model.schema_hash, settings.served_features_share
            )
        )

    def warm_up(self) -> None:
        """Rank slates of several sizes on every rung, so that the first caller waits no longer."""
        started = perf_counter()
        items = self.model.sample_items(max(WARM_UP_SIZES))
        user_id = next(iter(self.model.sample_users(1)), None)
        for rung, size in product(LADDER, WARM_UP_SIZES):
            ids = items[:size]
            # Before any event: answered as of the state's own clock, which only callers move on.
            slate = Slate("warm-up", ids, EPOCH, user_id, texts=[None] * len(ids))
            for explain in (0, size):
                self._warm_up_rung(slate, rung, explain)
        self.is_warm = True
        spent_ms = (perf_counter() - started) * 1e3
        self.telemetry.ready(self.model.name, self.model.version, self.model.fingerprint, spent_ms)

    async def is_ready(self) -> bool:
        """Say whether a caller waits for nothing that is still being loaded.

        A text is encoded once, since the encoder may need longer to load than the bundle. One that
        fails keeps nobody waiting: the rungs below do without it.
        """
        if self.is_warm and not self._encoder_is_up:
            try:
                answer = self._encode(["warm up"], self.model.fingerprint)
                await asyncio.wait_for(answer, READY_WAIT_S)
            except TimeoutError:
                return False
            except Exception as error:
                self.telemetry.stepped_down("warm-up", "encode", error)
            self._encoder_is_up = True
        return self.is_warm

    def _warm_up_rung(self, slate: Slate, rung: Rung, explain: int) -> None:
        # The first call pays for what is set up lazily, so it tells nothing about the cost.
        self.model.rank(slate, {}, rung=rung, explain=explain)
        for _ in range(WARM_UP_ROUNDS):
            self._timed_rank(slate, {}, rung, explain)

    def _timed_rank(
        self, slate: Slate, vectors: Mapping[str, np.ndarray], rung: Rung, explain: int
    ) -> RankedSlate:
        started = perf_counter()
        ranked = self.model.rank(slate, vectors, rung=rung, explain=explain)
        explain_ms = ranked.timings_ms.get("explain", 0.0)
        rank_ms = (perf_counter() - started) * 1e3 - explain_ms
        self._costs.observe(rung, len(slate.item_ids), rank_ms, explain, explain_ms)
        return ranked

    async def answer(self, request: Request) -> Response:
        """Answer `POST /v1/rank`."""
        deadline = Deadline(perf_counter(), None)
        if self._in_flight >= self._settings.max_in_flight:
            return self._refuse_another(deadline)
        try:
            # Who sends half a body takes nobody's place.
            body = await self._read(request)
        except ClientDisconnect:
            return Response(status_code=CLIENT_GONE)
        if self._in_flight >= self._settings.max_in_flight:
            return self._refuse_another(deadline)
        self._in_flight += 1
        try:
            parsed = wire.parse_request(body, self._settings) if isinstance(body, bytes) else body
            if isinstance(parsed, Problem):
                return self._refuse(parsed, deadline)
            return await self._answer(parsed, Deadline(deadline.arrived, parsed.deadline_ms))
        finally:
            self._in_flight -= 1

    async def _read(self, request: Request) -> bytes | Problem:
        headers = request.headers
        refused = wire.check_headers(
            headers.get("content-type"),
            headers.get("content-encoding"),
            headers.get("content-length"),
            self._settings,
        )
        if refused is not None:
            return refused
        body = bytearray()
        try:
            async with asyncio.timeout(self._settings.body_timeout_s):
                async for chunk in request.stream():
                    body += chunk
                    self._half_read += len(chunk)
                    if (refused := self._too_much(len(body))) is not None:
                        return refused
        except TimeoutError:
            return problems.body_too_slow(self._settings.body_timeout_s)
        finally:
            self._half_read -= len(body)
        return bytes(body)

    def _too_much(self, length: int) -> Problem | None:
        """Refuse a body that is too long, or one more where others hold all there is room for."""
        limit = self._settings.max_body_bytes
        if length > limit:
            return problems.body_too_large(None, limit)
        if self._half_read > self._settings.max_in_flight * limit:
            return problems.overloaded(f"{self._half_read:,} bytes of bodies are half read")
        return None

    async def _answer(self, request: RankRequest, deadline: Deadline) -> Response:
        declared = self.model.declared
        slate = wire.to_slate(request, datetime.now(UTC), declared)
        shown = min(request.top_k or len(slate.item_ids), len(slate.item_ids))
        explain = min(shown, self._settings.max_explained) if request.explain else 0
        timings = {"parse": deadline.spent_ms()}
        vectors, best = await self._vectors(slate, explain, deadline)
        timings["encode"] = deadline.spent_ms() - timings["parse"]
        ranked = self._rank(slate, vectors, best, explain, deadline)
        timings |= ranked.timings_ms
        timings["total"] = deadline.spent_ms()
        body = wire.to_response(
            slate,
            ranked,
            policy=self.model.name,
            count=shown,
            ignored=wire.undeclared(request, declared),
            timings_ms=timings,
        )

        async def tell() -> None:
            self._tell(slate, ranked, timings)

        # The caller has the answer before it is logged and counted.
        return Response(body, media_type="application/json", background=BackgroundTask(tell))

    def _tell(self, slate: Slate, ranked: RankedSlate, timings_ms: Mapping[str, float]) -> None:
        self.telemetry.answered(
            slate.request_id,
            ranked.rung,
            len(slate.item_ids),
            len(ranked.unknown_items),
            ranked.unseen_values,
            timings_ms,
        )
        if self._served is not None and ranked.features is not None:
            try:
                self._served.write(slate.request_id, ranked.item_ids, ranked.features)
            except OSError as error:
                self.telemetry.failed(slate.request_id, error)

    async def _vectors(
        self, slate: Slate, explain: int, deadline: Deadline
    ) -> tuple[Mapping[str, np.ndarray], Rung]:
        """Have the texts without a vector encoded; without them the best rung is `cached_text`."""
        try:
            texts = self.model.texts_to_encode(slate)
            if not texts:
                return {}, "full"
            rows = await self._encoded(texts, len(slate.item_ids), explain, deadline)
        except TimeoutError:
            self.telemetry.stepped_down(slate.request_id, "encode", "deadline")
            return {}, "cached_text"
        except Exception as error:
            self.telemetry.stepped_down(slate.request_id, "encode", error)
            return {}, "cached_text"
        return dict(zip(texts, rows, strict=True)), "full"

    async def _encoded(
        self, texts: Sequence[str], candidates: int, explain: int, deadline: Deadline
    ) -> np.ndarray:
        allowed_ms, left_ms = self._settings.encoder_timeout_ms, deadline.left_ms()
        if left_ms is not None:
            ranking_ms = MARGIN * self._costs.usual_ms("cached_text", candidates, explain)
            spare_ms = left_ms - ranking_ms - self._settings.answer_reserve_ms
            allowed_ms = min(allowed_ms, spare_ms, ENCODER_SHARE * left_ms)
        if allowed_ms <= 0:
            raise TimeoutError
        return await asyncio.wait_for(self._encode(texts, self.model.fingerprint), allowed_ms / 1e3)

    def _rank(
        self,
        slate: Slate,
        vectors: Mapping[str, np.ndarray],
        best: Rung,
        explain: int,
        deadline: Deadline,
    ) -> RankedSlate:
        """Rank on the best rung that is reached in time and does not fail."""
        candidates, rung = len(slate.item_ids), best
        while True:
            left_ms = deadline.left_ms()
            usable_ms = None if left_ms is None else left_ms - self._settings.answer_reserve_ms
            in_time = self._costs.best_rung(rung, candidates, explain, usable_ms)
            if in_time != rung:
                self.telemetry.stepped_down(slate.request_id, "rank", "deadline")
            rung = in_time
            try:
                return self._timed_rank(slate, vectors, rung, explain)
            except Exception as error:
                if rung == LADDER[-1]:
                    raise
                self.telemetry.stepped_down(slate.request_id, "rank", error)
                rung = LADDER[LADDER.index(rung) + 1]

    def _refuse_another(self, deadline: Deadline) -> Response:
        return self._refuse(
            problems.overloaded(f"{self._in_flight} requests are being answered"), deadline
        )

    def _refuse(self, found: Problem, deadline: Deadline) -> Response:
        request_id = uuid4().hex
        self.telemetry.refused(request_id, found.status, found.type, deadline.spent_ms())
        return problem_response(found, request_id)
