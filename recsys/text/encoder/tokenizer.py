"""Tokenisation: texts to token ids, cut to the encoder's length."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

CHARACTERS_PER_TOKEN = 64
"""Characters of a text that are tokenised at the most, per token that is kept."""


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
        """Tokenise one text, with the span of each token."""
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
