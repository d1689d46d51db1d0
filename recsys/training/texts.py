"""Texts of a workspace: item texts and queries, with an encoder's vectors."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from data_contracts.progress import Track, silent
from features.log.catalogue import Catalogue
from features.log.item_columns import TEXT
from recsys.text.encoder.base import Encoder
from recsys.text.encoder.bert import TextEncoder
from recsys.text.encoder.open import load_weights, open_backend
from recsys.text.keys import text_key
from recsys.text.template import item_texts
from recsys.text.training.text_source import FrozenVectors
from recsys.text.vectors.cache import encoded_of
from recsys.training.slates import query_texts
from recsys.workspace.workspace import Workspace


@dataclass(frozen=True)
class Texts:
    """The texts of a workspace with an encoder's vectors.

    Attributes:
        encoder: The encoder's weights.
        keys: Name of each text of an item, in the order of the catalogue's codes.
        items: The texts, String [n_codes].
        queries: Distinct queries of the log, sorted.
        vectors: Of items and queries.
        backend: What computed the vectors.
        cut: Texts of items that are longer than the encoder reads.
    """

    encoder: TextEncoder
    keys: Sequence[str]
    items: pl.Series
    queries: pl.Series
    vectors: FrozenVectors
    backend: Encoder
    cut: int


def encode_texts(workspace: Workspace, catalogue: Catalogue, track: Track = silent) -> Texts:
    """Encode a workspace's catalogue and queries; what was encoded before comes from the cache."""
    weights = load_weights(workspace.config.text, workspace.config.encoding)
    keys = catalogue.values[TEXT]
    items = read_item_texts(workspace, keys)
    return _encoded(workspace, weights, keys, items, query_texts(workspace), track)


def read_item_texts(workspace: Workspace, keys: Sequence[str]) -> pl.Series:
    """Put the texts of items together that have some names, String [n] in the order of these."""
    text = workspace.config.text
    columns = workspace.scan("items").select(text.template).collect()
    texts = item_texts(columns, text.template, text.limits).unique()
    by_key = {text_key(each).hex(): each for each in texts if each}
    return pl.Series([by_key[key] for key in keys], dtype=pl.String)


def texts_of(
    workspace: Workspace, texts: Texts, encoder: TextEncoder, track: Track = silent
) -> Texts:
    """Exchange the vectors of texts for those of another encoder.

    Args:
        workspace: The workspace.
        texts: With one encoder's vectors; returned as they are if it is this one.
        encoder: The other one, such as one that was tuned.
        track: Shows progress.

    Returns:
        The texts with that encoder's vectors.
    """
    if encoder.fingerprint == texts.encoder.fingerprint:
        return texts
    return _encoded(workspace, encoder, texts.keys, texts.items, texts.queries, track)


def _encoded(
    workspace: Workspace,
    weights: TextEncoder,
    keys: Sequence[str],
    items: pl.Series,
    queries: pl.Series,
    track: Track,
) -> Texts:
    encoding, cache = workspace.config.encoding, workspace.cache
    backend = open_backend(weights, encoding, cache)
    both = [*items.to_list(), *queries.to_list()]
    found = encoded_of(both, backend, cache, track, encoding.precision)
    count = len(items)
    vectors = FrozenVectors(found.vectors[:count], found.vectors[count:])
    return Texts(weights, keys, items, queries, vectors, backend, int(found.cut[:count].sum()))
