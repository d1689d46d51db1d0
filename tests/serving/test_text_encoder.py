import asyncio

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.text_encoder import CHUNK_TOKENS, Chunk, InFlight, split_by_tokens, total_tokens


class Slow:
    """Encodes a chunk once it is released; a text's vector is its length."""

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self.cancelled: list[Chunk] = []
        self.release = asyncio.Event()
        self.error: Exception | None = None

    async def encode(self, chunk: Chunk) -> np.ndarray:
        self.chunks.append(chunk)
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.append(chunk)
            raise
        if self.error is not None:
            raise self.error
        return np.array([[len(text)] for text in chunk.texts], dtype=np.float32)


@given(st.lists(st.integers(0, 60), max_size=40), st.integers(1, 50))
def test_chunks_hold_every_text_once_in_order_within_the_budget(
    tokens: list[int], budget: int
) -> None:
    texts = [str(index) for index in range(len(tokens))]
    chunks = split_by_tokens(texts, tokens, budget)
    assert [text for chunk in chunks for text in chunk.texts] == texts
    assert all(chunk.texts and 0 < chunk.tokens <= budget for chunk in chunks)
    assert total_tokens(chunks) == sum(min(max(count, 1), budget) for count in tokens)


def test_texts_in_flight_are_encoded_once_and_reach_every_caller() -> None:
    async def main() -> None:
        slow = Slow()
        shared = InFlight(slow.encode)
        first = asyncio.create_task(shared.vectors(["a", "bb"], [1, 1]))
        await asyncio.sleep(0)
        second = asyncio.create_task(shared.vectors(["ccc", "bb"], [1, 1]))
        await asyncio.sleep(0.01)
        slow.release.set()
        np.testing.assert_array_equal(await first, [[1], [2]])
        np.testing.assert_array_equal(await second, [[3], [2]])
        encoded = [text for chunk in slow.chunks for text in chunk.texts]
        assert sorted(encoded) == ["a", "bb", "ccc"]
        assert "bb" not in shared

    asyncio.run(main())


def test_long_calls_are_split_and_put_together_again() -> None:
    async def main() -> None:
        slow = Slow()
        slow.release.set()
        texts = ["x" * length for length in range(1, 6)]
        vectors = await InFlight(slow.encode).vectors(texts, [CHUNK_TOKENS // 2] * 5)
        assert [len(chunk.texts) for chunk in slow.chunks] == [2, 2, 1]
        np.testing.assert_array_equal(vectors[:, 0], [1, 2, 3, 4, 5])

    asyncio.run(main())


def test_work_is_dropped_only_when_its_last_caller_has_gone() -> None:
    async def main() -> None:
        slow = Slow()
        shared = InFlight(slow.encode)
        callers = [asyncio.create_task(shared.vectors(["a"], [1])) for _ in range(2)]
        await asyncio.sleep(0.01)
        callers[0].cancel()
        await asyncio.sleep(0.01)
        assert slow.cancelled == []
        callers[1].cancel()
        await asyncio.gather(*callers, return_exceptions=True)
        await asyncio.sleep(0.01)
        assert slow.cancelled == slow.chunks
        assert "a" not in shared

    asyncio.run(main())


def test_a_text_whose_work_was_dropped_is_begun_anew() -> None:
    async def main() -> None:
        slow = Slow()
        shared = InFlight(slow.encode)
        gone = asyncio.create_task(shared.vectors(["a"], [1]))
        await asyncio.sleep(0.01)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        slow.release.set()
        np.testing.assert_array_equal(await shared.vectors(["a"], [1]), [[1]])

    asyncio.run(main())


def test_an_error_reaches_every_caller_and_is_not_remembered() -> None:
    async def main() -> None:
        slow = Slow()
        slow.error = ValueError("no")
        slow.release.set()
        shared = InFlight(slow.encode)
        found = await asyncio.gather(
            *(shared.vectors(["a"], [1]) for _ in range(2)), return_exceptions=True
        )
        assert [type(error) for error in found] == [ValueError, ValueError]
        slow.error = None
        np.testing.assert_array_equal(await shared.vectors(["a"], [1]), [[1]])

    asyncio.run(main())


def test_an_empty_chunk_never_arises() -> None:
    assert split_by_tokens([], [], 10) == []
    with pytest.raises(ValueError, match="shorter"):
        asyncio.run(InFlight(Slow().encode).vectors(["a", "b"], [1]))
