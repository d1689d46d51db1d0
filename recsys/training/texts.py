"""The texts of a workspace as an encoder sees them."""

from dataclasses import dataclass

import polars as pl

from data_contracts.progress import Track, silent
from recsys.text.encoder.base import Encoder
from recsys.text.encoder.bert import TextEncoder
from recsys.text.encoder.open import load_weights, open_backend
from recsys.text.template import item_texts
from recsys.text.training.text_source import FrozenVectors
from recsys.text.vectors.cache import encoded_of
from recsys.training.slates import query_texts
from recsys.workspace.workspace import CACHE, Workspace


@dataclass(frozen=True)
class Texts:
    """The frozen encoder's view of the workspace.

    Attributes:
        encoder: The encoder as it was learned.
        queries: Distinct queries of the log.
        vectors: Of items and queries.
        backend: What computed the vectors.
        cut: Items whose text is longer than the encoder reads.
    """

    encoder: TextEncoder
    queries: pl.Series
    vectors: FrozenVectors
    backend: Encoder
    cut: int


def encode_texts(workspace: Workspace, track: Track = silent) -> Texts:
    """Encode the catalogue and the queries; what was encoded before comes from the cache."""
    encoding = workspace.config.encoding
    weights = load_weights(workspace.config.text, encoding)
    return _encoded(workspace, weights, query_texts(workspace), track)


def texts_of(
    workspace: Workspace, texts: Texts, encoder: TextEncoder, track: Track = silent
) -> Texts:
    """Give the same texts as another encoder sees them.

    Args:
        workspace: The workspace.
        texts: As one encoder sees them; returned as they are if it is this one.
        encoder: The other one, such as one that was tuned.
        track: Shows progress.

    Returns:
        The texts with that encoder's vectors.
    """
    if encoder.fingerprint == texts.encoder.fingerprint:
        return texts
    return _encoded(workspace, encoder, texts.queries, track)


def _encoded(workspace: Workspace, weights: TextEncoder, queries: pl.Series, track: Track) -> Texts:
    settings, encoding = workspace.config.text, workspace.config.encoding
    cache = workspace.root / CACHE
    backend = open_backend(weights, encoding, cache)
    items = workspace.scan("items").select(settings.template).collect()
    texts = item_texts(items, settings.template, settings.limits)
    both = [*texts.to_list(), *queries.to_list()]
    found = encoded_of(both, backend, cache, track, encoding.precision)
    count = len(texts)
    vectors = FrozenVectors(found.vectors[:count], found.vectors[count:])
    return Texts(weights, queries, vectors, backend, int(found.cut[:count].sum()))
