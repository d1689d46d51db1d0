"""Likeness: how near a candidate's text lies to anything its user ever took, nothing trained.

What the fine-tuned match is measured against, and companions of it that were tried: docs/text.md.
With the cosine s_j of the candidate's text to that of each past item:

    nearest = max_j s_j
    likeness = width * log sum_j exp((s_j - 1) / width)

The first asks for one item that is alike; the second, a kernel over the whole history, also counts
how many are. The candidate's own copies in the history are left out, as for the interest match.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from features.history import History
from recsys.text.head import leading_directions

LIKENESS = ("text_nearest", "text_likeness", "slate_percentile_text_likeness")
"""Names of its columns in a ranker."""


@dataclass(frozen=True)
class LikenessTable:
    """The catalogue's texts in few dimensions, which keep the cosines and cost a third.

    Attributes:
        vectors: float32 [n_items, few], rows of length 1; NaN rows for items without text.
        basis: float32 [dim, few], the directions kept of the encoder's vectors.
        width: Of the kernel, in cosine.
        history: Past items looked at, newest first, at the most.
    """

    vectors: np.ndarray
    basis: np.ndarray
    width: float
    history: int

    @classmethod
    def of(
        cls, vectors: np.ndarray, *, dimensions: int, width: float, history: int
    ) -> "LikenessTable":
        """Keep the directions in which the catalogue's texts differ most.

        Args:
            vectors: From the encoder, float32 [n_items, dim]; NaN rows for items without text.
            dimensions: Directions to keep at the most.
            width: Of the kernel, in cosine.
            history: Past items looked at.

        Returns:
            The table.
        """
        basis = leading_directions(vectors, dimensions)
        return cls(_unit(vectors @ basis), basis, width, history)

    def candidates(
        self, item: np.ndarray, inline: Mapping[int, np.ndarray] | None = None
    ) -> np.ndarray:
        """Look candidates up.

        Args:
            item: int32 [n], places in the catalogue; negative for unknown items.
            inline: Text vectors of candidates that brought their text, by place among the n.

        Returns:
            float32 [n, few]; NaN rows for candidates without text.
        """
        rows = self.vectors[item]
        rows[item < 0] = np.nan
        for place, vector in (inline or {}).items():
            rows[place] = _unit(vector @ self.basis)
        return rows

    def read(self, candidates: np.ndarray, item: np.ndarray, history: History) -> np.ndarray:
        """Compare the candidates of one request with the history.

        Args:
            candidates: From `candidates`, float32 [n, few].
            item: int32 [n], places in the catalogue; negative for unknown items.
            history: Of the request's user, [1, k].

        Returns:
            Nearest and likeness, float32 [n, 2]; NaN for candidates without text, and where no past
            item with text but the candidate itself is there.
        """
        past = history.item[0, : self.history]
        past = past[past >= 0]
        past = past[~np.isnan(self.vectors[past, 0])]
        found = np.full((len(item), 2), np.nan, np.float32)
        if not len(past):
            return found
        similarity = candidates @ self.vectors[past].T
        similarity[item[:, None] == past[None, :]] = -np.inf
        nearest = similarity.max(axis=1)
        some = nearest > -np.inf
        mass = np.exp((similarity[some] - nearest[some, None]) / np.float32(self.width)).sum(axis=1)
        found[some, 0] = nearest[some]
        found[some, 1] = nearest[some] - 1 + np.float32(self.width) * np.log(mass)
        return found


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: np.ndarray = (vectors / np.maximum(length, 1e-12)).astype(np.float32)
    return unit
