"""The encoder deployment: texts of many requests in common batches, each text once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from ray import serve

from data_contracts.errors import BundleError
from serving.ranking.model import LoadEncoder
from serving.settings import ServiceSettings
from serving.telemetry.metrics import EncoderTelemetry

# Small enough that chunks of several requests fit one batch, large enough to be worth a call.
CHUNK_TOKENS = 512


@dataclass(frozen=True)
class Chunk:
    """Texts of one request that are encoded together.

    Attributes:
        texts: Distinct texts.
        tokens: Tokens of all of them together.
    """

    texts: tuple[str, ...]
    tokens: int


def total_tokens(chunks: Sequence[Chunk]) -> int:
    """Give the size of a batch of chunks, in tokens."""
    return sum(chunk.tokens for chunk in chunks)


def split_by_tokens(texts: Sequence[str], tokens: Sequence[int], budget: int) -> list[Chunk]:
    """Put texts into chunks of at most `budget` tokens.

    Args:
        texts: Distinct texts.
        tokens: Tokens of each; one above the budget counts as the budget and stands alone.
        budget: Tokens per chunk.

    Returns:
        Chunks with all texts in their order.
    """
    chunks: list[Chunk] = []
    start, held = 0, 0
    for index, count in enumerate(tokens):
        cost = min(max(count, 1), budget)
        if held + cost > budget:
            chunks.append(Chunk(tuple(texts[start:index]), held))
            start, held = index, 0
        held += cost
    return [*chunks, Chunk(tuple(texts[start:]), held)] if held else chunks


@dataclass
class _Job:
    task: asyncio.Task[np.ndarray]
    waiting: int = 0


class InFlight:
    """Shares the encoding of a text among all who wait for it at the same time.

    Args:
        encode: Encodes one chunk to float32 [n_texts, dim].
    """

    def __init__(self, encode: Callable[[Chunk], Awaitable[np.ndarray]]) -> None:
        self._encode = encode
        self._places: dict[str, tuple[_Job, int]] = {}

    def __contains__(self, text: str) -> bool:
        return text in self._places

    async def vectors(self, texts: Sequence[str], tokens: Sequence[int]) -> np.ndarray:
        """Give the vectors of texts, starting only what nobody has started yet.

        When the last caller waiting for a chunk is cancelled, so is the chunk.

        Args:
            texts: Distinct texts, at least one.
            tokens: Tokens of each.

        Returns:
            float32 [n_texts, dim], aligned with `texts`.
        """
        fresh = [
            (text, count) for text, count in zip(texts, tokens, strict=True) if text not in self
        ]
        for chunk in split_by_tokens([t for t, _ in fresh], [n for _, n in fresh], CHUNK_TOKENS):
            self._start(chunk)
        places = [self._places[text] for text in texts]
        jobs = list({id(job): job for job, _ in places}.values())
        for job in jobs:
            job.waiting += 1
        try:
            await asyncio.gather(*(asyncio.shield(job.task) for job in jobs))
        finally:
            for job in jobs:
                job.waiting -= 1
                if not job.waiting and not job.task.done():
                    job.task.cancel()
                    self._forget(job)
        return np.stack([job.task.result()[row] for job, row in places])

    def _start(self, chunk: Chunk) -> None:
        job = _Job(asyncio.ensure_future(self._run(chunk)))
        for row, text in enumerate(chunk.texts):
            self._places[text] = (job, row)
        job.task.add_done_callback(lambda _: self._forget(job))

    async def _run(self, chunk: Chunk) -> np.ndarray:
        return await self._encode(chunk)

    def _forget(self, job: _Job) -> None:
        self._places = {text: place for text, place in self._places.items() if place[0] is not job}


class TextEncoderService:
    """Encodes texts that have no vector yet; one replica holds one encoder."""

    def __init__(self, settings: ServiceSettings, load_encoder: LoadEncoder) -> None:
        loaded = load_encoder(settings)
        self._encoder = loaded.encoder
        self._fingerprint = loaded.fingerprint
        self._telemetry = EncoderTelemetry()
        self._in_flight = InFlight(self._encode_chunk)
        self._encode_batch.set_max_batch_size(settings.encoder_batch_tokens)  # type: ignore[attr-defined]
        self._encode_batch.set_batch_wait_timeout_s(settings.encoder_batch_wait_ms / 1e3)  # type: ignore[attr-defined]
        self._encoder.encode(["warm up"])

    async def encode(self, texts: Sequence[str], fingerprint: str) -> np.ndarray:
        """Encode texts.

        Args:
            texts: Distinct texts, at least one.
            fingerprint: The bundle whose vectors these will be compared with.

        Returns:
            float32 [n_texts, dim].

        Raises:
            BundleError: This replica serves another bundle.
        """
        if fingerprint != self._fingerprint:
            raise BundleError(
                f"texts for bundle {fingerprint}",
                f"bundle {self._fingerprint}",
                "wait until every replica serves the same bundle",
            )
        tokens = await asyncio.to_thread(self._encoder.token_counts, texts)
        self._telemetry.shared(sum(text in self._in_flight for text in texts))
        return await self._in_flight.vectors(texts, tokens.tolist())

    async def _encode_chunk(self, chunk: Chunk) -> np.ndarray:
        vectors: np.ndarray = await self._encode_batch(chunk)
        return vectors

    @serve.batch(max_batch_size=2048, batch_wait_timeout_s=0.002, batch_size_fn=total_tokens)
    async def _encode_batch(self, chunks: list[Chunk]) -> list[np.ndarray]:
        texts = list(dict.fromkeys(text for chunk in chunks for text in chunk.texts))
        started = perf_counter()
        vectors = await asyncio.to_thread(self._encoder.encode, texts)
        self._telemetry.encoded(len(texts), (perf_counter() - started) * 1e3)
        row = {text: index for index, text in enumerate(texts)}
        return [vectors[[row[text] for text in chunk.texts]] for chunk in chunks]
