"""Interfaces of the service to a bundle and to an encoder, and the types of their loaders."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from data_contracts.slates import RankedSlate, Rung, Slate
from serving.settings import ServiceSettings
from serving.wire.slates import Declared


class Model(Protocol):
    """A bundle ready to rank."""

    @property
    def name(self) -> str:
        """The policy's name, part of every answer."""
        ...

    @property
    def version(self) -> str:
        """Which version of the bundle it is."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of the bundle's content."""
        ...

    @property
    def schema_hash(self) -> str:
        """Hash of the declared features."""
        ...

    @property
    def declared(self) -> Declared:
        """Names that are read of a request."""
        ...

    def summary(self) -> dict[str, object]:
        """Give the manifests as JSON values."""
        ...

    def sample_items(self, count: int) -> Sequence[str]:
        """Give up to `count` items of the catalogue, to warm up with."""
        ...

    def sample_users(self, count: int) -> Sequence[str]:
        """Give up to `count` users with a history, to warm up with; none when there are none."""
        ...

    def texts_to_encode(self, slate: Slate) -> list[str]:
        """Give the distinct texts of a slate that have no vector yet."""
        ...

    def rank(
        self, slate: Slate, vectors: Mapping[str, np.ndarray], *, rung: Rung, explain: int
    ) -> RankedSlate:
        """Put a slate in order.

        Args:
            slate: The request.
            vectors: Vector of each text of `texts_to_encode`, float32 [dim]; a text may be missing.
            rung: How much of the ranker to use.
            explain: How many of the best candidates get contributions.

        Returns:
            The candidates, best first.
        """
        ...


class BatchEncoder(Protocol):
    """A loaded text encoder."""

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Encode texts to vectors, float32 [n_texts, dim]."""
        ...

    def token_counts(self, texts: Sequence[str]) -> np.ndarray:
        """Count the tokens of each text, int64 [n_texts]."""
        ...


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder and the bundle it belongs to.

    Attributes:
        encoder: The text model.
        fingerprint: Hash of the bundle it was loaded from.
    """

    encoder: BatchEncoder
    fingerprint: str


LoadModel = Callable[[ServiceSettings], Model]
LoadEncoder = Callable[[ServiceSettings], LoadedEncoder]
