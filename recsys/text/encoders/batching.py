"""Texts as batches of tokens: those of one length together, so that hardly anything is padding.

Texts are tokenised a window at a time; while a window's batches are computed, a thread tokenises
the next one.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from data_contracts.progress import Track
from features.compiled import compiled
from recsys.text.encoders.base import Encoded

CHARACTERS_PER_TOKEN = 64
"""Characters of a text that are tokenised at the most, per token that is kept."""

RUN_COST = 1 / 24
"""What a batch costs beside its tokens, as a share of the tokens that it may hold."""

LABEL = "Encoding texts"


@dataclass(frozen=True)
class Tokens:
    """Texts as token ids.

    Attributes:
        ids: Ids of each text, special tokens included.
        cut: Whether a text was longer than what was kept, bool [n_texts].
    """

    ids: list[list[int]]
    cut: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each text, int64 [n_texts]."""
        return np.array([len(ids) for ids in self.ids], np.int64)


@dataclass(frozen=True)
class Pieces:
    """One text as the encoder reads it.

    Attributes:
        text: What was read: the text, cut and without what cannot be written in UTF-8.
        ids: Token ids, special ones included, int64 [n_pieces].
        spans: Where in the text each piece begins and ends, in characters; special pieces stand
            for no character.
        special: Which pieces are in every text, bool [n_pieces].
    """

    text: str
    ids: np.ndarray
    spans: list[tuple[int, int]]
    special: np.ndarray


class TextTokenizer:
    """A tokenizer that cuts and does not pad.

    Args:
        tokenizer: Any fast tokenizer; it is copied.
        max_tokens: Longer texts are cut.
        pad_id: Id that fills batches up.
    """

    def __init__(self, tokenizer: Tokenizer, max_tokens: int, pad_id: int) -> None:
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)
        self.max_tokens, self.pad_id = max_tokens, pad_id

    @classmethod
    def of(cls, tokenizer: Any, max_tokens: int) -> "TextTokenizer":
        """Take over the tokenizer of transformers."""
        return cls(tokenizer.backend_tokenizer, max_tokens, tokenizer.pad_token_id or 0)

    @classmethod
    def read(cls, path: Path, max_tokens: int, pad_id: int) -> "TextTokenizer":
        """Read `tokenizer.json`."""
        return cls(Tokenizer.from_file(str(path)), max_tokens, pad_id)

    def tokens(self, texts: Sequence[str]) -> Tokens:
        """Tokenise texts; whatever cannot be written in UTF-8 reads as a question mark."""
        limit = self.max_tokens * CHARACTERS_PER_TOKEN
        readable = [_readable(text, limit) for text in texts]
        found = self._tokenizer.encode_batch_fast(readable)
        cut = [
            bool(tokens.overflowing) or len(text) > limit
            for tokens, text in zip(found, texts, strict=True)
        ]
        return Tokens([tokens.ids for tokens in found], np.array(cut, bool))

    def pieces(self, text: str) -> Pieces:
        """Tokenise one text and tell where in it each token stands."""
        readable = _readable(text, self.max_tokens * CHARACTERS_PER_TOKEN)
        found = self._tokenizer.encode(readable)
        return Pieces(
            readable,
            np.array(found.ids, np.int64),
            list(found.offsets),
            np.array(found.special_tokens_mask, bool),
        )


def _readable(text: str, limit: int) -> str:
    if len(text) > limit:
        text = " ".join(text[: 16 * limit].split())[:limit]
    return text.encode("utf-8", "replace").decode("utf-8")


@dataclass(frozen=True)
class Batch:
    """Texts that are computed together.

    Attributes:
        places: Where they stand among all texts, int64 [b].
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
    """Tell where a run that begins at each text ends best.

    Args:
        lengths: Tokens of each text, longest first, int64 [n].
        token_budget: Tokens of a run at the most, padding included.
        run_cost: What a run costs beside its tokens, in tokens.

    Returns:
        int64 [n].
    """
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


def _batches(tokens: Tokens, start: int, pad_id: int, token_budget: int) -> Iterator[Batch]:
    lengths = tokens.lengths
    order = np.argsort(-lengths, kind="stable")
    for low, high in batch_bounds(lengths[order], token_budget):
        places = order[low:high]
        width = int(lengths[places[0]])
        mask = (np.arange(width) < lengths[places][:, None]).astype(np.int64)
        ids = np.full(mask.shape, pad_id, np.int64)
        ids[mask > 0] = np.concatenate([tokens.ids[place] for place in places])
        yield Batch(start + places, ids, mask)


def encode_in_batches(
    texts: Sequence[str],
    tokenizer: TextTokenizer,
    dim: int,
    compute: Callable[[Batch], np.ndarray],
    *,
    token_budget: int,
    window: int,
    track: Track,
) -> Encoded:
    """Encode texts batch by batch.

    Args:
        texts: Any texts.
        tokenizer: Cuts them into tokens.
        dim: Length of a vector.
        compute: Gives the vectors of a batch, float32 [b, dim].
        token_budget: Tokens of a batch at the most, padding included.
        window: Texts that are sorted by length together.
        track: Shows progress, a step a text.

    Returns:
        The vectors, and which texts were cut.
    """
    vectors = np.zeros((len(texts), dim), np.float32)
    cut = np.zeros(len(texts), bool)

    def done() -> Iterable[int]:
        for start, tokens in _windows(texts, tokenizer, window):
            cut[start : start + len(tokens.ids)] = tokens.cut
            for batch in _batches(tokens, start, tokenizer.pad_id, token_budget):
                vectors[batch.places] = compute(batch)
                yield from batch.places

    for _ in track(done(), LABEL, len(texts)):
        pass
    return Encoded(vectors, cut)
