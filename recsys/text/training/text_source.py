"""Text vectors in training: frozen ones, or the interface to an encoder that is trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from recsys.labels.slates import LabelledSlates


@dataclass(frozen=True)
class FrozenVectors:
    """Text vectors of items and queries.

    Attributes:
        items: float32 [n_codes, dim], by the code of the text.
        queries: float32 [n_queries, dim].
    """

    items: np.ndarray
    queries: np.ndarray


class TextSource(Protocol):
    """Text vectors for the training loop, and the parameters that make them."""

    @property
    def item_text(self) -> np.ndarray:
        """Place of each text of an item by its code, int64 [n_codes]; -1 without one."""

    @property
    def query_text(self) -> np.ndarray:
        """Place of the text of each query, int64 [n_queries]; -1 without one."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    @property
    def device(self) -> str:
        """Device of the vectors."""

    @property
    def trainable(self) -> Mapping[str, nn.Parameter]:
        """Parameters that are trained, by name; none where vectors are frozen."""

    def lengths(self, texts: np.ndarray) -> np.ndarray:
        """Give the tokens of texts at places int64 [n], int64 [n]; 0 where vectors are frozen."""

    def vectors(self, texts: np.ndarray, *, training: bool) -> Tensor:
        """Give vectors that gradients pass through.

        Args:
            texts: int64 [n], places of distinct texts.
            training: Whether dropout is on.

        Returns:
            Rows of length 1, float32 [n, dim].
        """


@dataclass(frozen=True)
class FrozenSource:
    """Vectors computed once: mode `head`.

    Attributes:
        frozen: The vectors.
        device: Where the head is trained.
    """

    frozen: FrozenVectors
    device: str = "cpu"

    @cached_property
    def item_text(self) -> np.ndarray:
        """The text of each item: its own row."""
        return _own_rows(self.frozen.items, 0)

    @cached_property
    def query_text(self) -> np.ndarray:
        """The text of each query: its own row after the items."""
        return _own_rows(self.frozen.queries, len(self.frozen.items))

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.frozen.items.shape[1])

    @property
    def trainable(self) -> Mapping[str, nn.Parameter]:
        """Nothing."""
        return {}

    @cached_property
    def _table(self) -> Tensor:
        both = np.vstack([self.frozen.items, self.frozen.queries]).astype(np.float32)
        return torch.from_numpy(np.nan_to_num(both)).to(self.device)

    def lengths(self, texts: np.ndarray) -> np.ndarray:
        """Give 0 for each text: nothing is encoded."""
        return np.zeros(len(texts), np.int64)

    def vectors(self, texts: np.ndarray, *, training: bool) -> Tensor:
        """Look vectors up."""
        return self._table[torch.from_numpy(texts).to(self.device)]


def _own_rows(vectors: np.ndarray, first: int) -> np.ndarray:
    return np.where(np.isnan(vectors[:, 0]), -1, first + np.arange(len(vectors)))


def texts_of_slates(source: TextSource, slates: LabelledSlates) -> np.ndarray:
    """List the distinct texts of requests: candidates, histories and queries, int64 [n]."""
    texts = np.unique(np.append(slates.text, slates.past_text))
    queries = np.unique(slates.query)
    places = np.append(
        source.item_text[texts[texts >= 0]], source.query_text[queries[queries >= 0]]
    )
    return np.unique(places[places >= 0])


def as_frozen(source: TextSource, texts: np.ndarray, vectors: np.ndarray) -> FrozenVectors:
    """Arrange the vectors of some texts by item and query.

    Args:
        source: Has the text of each item and query.
        texts: int64 [n], places of texts, in order.
        vectors: float32 [n, dim].

    Returns:
        The vectors; NaN rows for items and queries whose text is not among them.
    """
    table = np.vstack([vectors, np.full((1, source.dim), np.nan, np.float32)])
    last = max(source.item_text.max(initial=-1), source.query_text.max(initial=-1))
    # Its last entry, the NaN row, is for -1 too.
    row = np.full(last + 2, len(texts))
    row[texts] = np.arange(len(texts))
    return FrozenVectors(table[row[source.item_text]], table[row[source.query_text]])
