"""The interface of text encoders, the same for every backend."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from data_contracts.progress import Track, silent


@dataclass(frozen=True)
class Encoded:
    """Texts as vectors.

    Attributes:
        vectors: float32 [n_texts, dim], rows of length 1.
        cut: Whether a text was longer than the encoder reads, bool [n_texts].
    """

    vectors: np.ndarray
    cut: np.ndarray


class Encoder(Protocol):
    """Texts in, unit vectors out; a text's vector does not depend on the texts around it."""

    @property
    def fingerprint(self) -> str:
        """Hash of weights, tokenizer, text length and arithmetic; vectors of another never mix."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    def token_counts(self, texts: Sequence[str]) -> np.ndarray:
        """Count the tokens of each text after cutting, int64 [n_texts]."""

    def encode(self, texts: Sequence[str], track: Track = silent) -> np.ndarray:
        """Encode texts, short ones together, float32 [n_texts, dim], rows of length 1."""

    def encode_counted(self, texts: Sequence[str], track: Track = silent) -> Encoded:
        """Encode texts, and mark those that were cut."""

    def save(self, folder: Path) -> None:
        """Write the files that `open_saved` reads into an existing folder."""
