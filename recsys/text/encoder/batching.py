"""Batches of tokens: texts of like length together, so that little of a batch is padding.

Texts are tokenised a window at a time; while a window's batches are computed, a thread tokenises
the next one.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from data_contracts.progress import Track, silent
from features.arrays.compiled import compiled
from recsys.text.encoder.base import Encoded
from recsys.text.encoder.tokenizer import TextTokenizer, Tokens

RUN_COST = 1 / 24
"""Fixed cost of a batch, as a share of the tokens that it may hold."""

LABEL = "Encoding texts"


@dataclass(frozen=True)
class TokenBatch:
    """Token ids of the texts that are encoded together.

    Attributes:
        places: Places of the texts among all, int64 [b].
        ids: Token ids, padded to the longest, int64 [b, w].
        mask: 1 where there is a token, int64 [b, w].
    """

    places: np.ndarray
    ids: np.ndarray
    mask: np.ndarray


def full_bounds(lengths: np.ndarray, token_budget: int) -> list[tuple[int, int]]:
    """Cut texts, longest first, into as few runs of at most `token_budget` padded tokens as can be.

    A training step takes these: what is dropped is drawn by the run, so that few are best.
    """
    bounds, low = [], 0
    while low < len(lengths):
        high = min(len(lengths), low + max(1, token_budget // max(int(lengths[low]), 1)))
        bounds.append((low, high))
        low = high
    return bounds


def batch_bounds(lengths: np.ndarray, token_budget: int) -> list[tuple[int, int]]:
    """Cut texts into runs, so that padding and runs together cost least.

    A run costs its padded tokens, and `RUN_COST` of the budget for being one more. The cheapest way
    to cut the texts from each place on follows from those of the places after it.

    Args:
        lengths: Tokens of each text, longest first, int64 [n].
        token_budget: Tokens of a run at the most, padding included; a single text may be longer.

    Returns:
        Where each run begins and ends.
    """
    contiguous = np.ascontiguousarray(lengths, np.int64)
    ends = _cheapest_ends(contiguous, token_budget, token_budget * RUN_COST)
    bounds, low = [], 0
    while low < len(ends):
        bounds.append((low, int(ends[low])))
        low = int(ends[low])
    return bounds


@compiled
def _cheapest_ends(lengths: np.ndarray, token_budget: int, run_cost: float) -> np.ndarray:
    """Give the end of the cheapest run that begins at each text, int64 [n], back to front."""
    count = len(lengths)
    costs, ends = np.zeros(count + 1), np.empty(count, np.int64)
    for low in range(count - 1, -1, -1):
        width = max(lengths[low], 1)
        last = min(count, low + max(1, token_budget // width))
        costs[low] = np.inf
        for high in range(low + 1, last + 1):
            cost = run_cost + width * (high - low) + costs[high]
            if cost < costs[low]:
                costs[low], ends[low] = cost, high
    return ends


def _windows(
    texts: Sequence[str], tokenizer: TextTokenizer, window: int
) -> Iterator[tuple[int, Tokens]]:
    """Give the tokens of each window and where it starts, tokenising one ahead in a thread."""
    if len(texts) <= window:
        yield 0, tokenizer.tokens(texts)
        return
    with ThreadPoolExecutor(1, "tokenizer") as pool:
        ahead = pool.submit(tokenizer.tokens, texts[:window])
        for low in range(0, len(texts), window):
            tokens = ahead.result()
            ahead = pool.submit(tokenizer.tokens, texts[low + window : low + 2 * window])
            yield low, tokens


def _batches(tokens: Tokens, start: int, pad_id: int, token_budget: int) -> Iterator[TokenBatch]:
    lengths = tokens.lengths
    order = np.argsort(-lengths, kind="stable")
    for low, high in batch_bounds(lengths[order], token_budget):
        places = order[low:high]
        width = int(lengths[places[0]])
        mask = (np.arange(width) < lengths[places][:, None]).astype(np.int64)
        ids = np.full(mask.shape, pad_id, np.int64)
        ids[mask > 0] = np.concatenate([tokens.ids[place] for place in places])
        yield TokenBatch(start + places, ids, mask)


@dataclass(frozen=True)
class BatchedEncoder(ABC):
    """An encoder that computes its vectors batch by batch.

    Attributes:
        fingerprint: Hash of weights, tokenizer, text length and arithmetic; vectors of another
            never mix.
        text_tokenizer: Cuts texts into tokens.
        dim: Length of a vector.
        token_budget: Tokens of a batch at the most, padding included.
    """

    fingerprint: str
    text_tokenizer: TextTokenizer
    dim: int
    token_budget: int

    window: ClassVar[int]
    """Texts that are sorted by length together."""

    @abstractmethod
    def compute(self, batch: TokenBatch) -> np.ndarray:
        """Give the vectors of a batch, float32 [b, dim]."""

    def token_counts(self, texts: Sequence[str]) -> np.ndarray:
        """Count the tokens of each text after cutting, int64 [n_texts]."""
        return self.text_tokenizer.tokens(texts).lengths

    def encode(self, texts: Sequence[str], track: Track = silent) -> np.ndarray:
        """Encode texts, float32 [n_texts, dim], rows of length 1; an empty one as no words."""
        return self.encode_counted(texts, track).vectors

    def encode_counted(self, texts: Sequence[str], track: Track = silent) -> Encoded:
        """Encode texts, and mark those that were cut; a step of the progress is a text."""
        vectors = np.zeros((len(texts), self.dim), np.float32)
        cut = np.zeros(len(texts), bool)

        def done() -> Iterable[int]:
            for start, tokens in _windows(texts, self.text_tokenizer, self.window):
                cut[start : start + len(tokens.ids)] = tokens.cut
                pad_id = self.text_tokenizer.pad_id
                for batch in _batches(tokens, start, pad_id, self.token_budget):
                    vectors[batch.places] = self.compute(batch)
                    yield from batch.places

        for _ in track(done(), LABEL, len(texts)):
            pass
        return Encoded(vectors, cut)
