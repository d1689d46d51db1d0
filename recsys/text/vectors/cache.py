"""Vectors of texts, computed once per encoder and text, and kept."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from data_contracts.progress import Track, silent
from recsys.text.encoder.base import Encoded, Encoder
from recsys.text.encoder.settings import Precision
from recsys.text.keys import text_key
from recsys.text.vectors.store import SHARD_ROWS, VectorStore


def encoded_of(
    texts: Sequence[str],
    encoder: Encoder,
    cache: Path | None,
    track: Track = silent,
    precision: Precision = "float32",
) -> Encoded:
    """Give the vector of each text; equal texts are encoded once, known ones not at all.

    Args:
        texts: Any texts.
        encoder: The encoder; its fingerprint names the store, so vectors never mix.
        cache: Folder of stores; None keeps nothing.
        track: Shows progress of what has to be encoded.
        precision: How vectors are kept; those of another precision are not looked at.

    Returns:
        The vectors, NaN rows for empty texts, which say nothing; and which texts were cut.
    """
    by_key = {text_key(text): text for text in texts if text}
    places = {key: place for place, key in enumerate(by_key)}
    if cache is None:
        found = encoder.encode_counted(list(by_key.values()), track)
    else:
        store = VectorStore.of(encoder, cache, precision)
        missing = np.flatnonzero(store.find(list(by_key)) < 0)
        keys = list(by_key)
        add_missing(store, {keys[place]: by_key[keys[place]] for place in missing}, encoder, track)
        found = store.read(store.find(keys))
    vectors = np.full((len(texts), encoder.dim), np.nan, np.float32)
    cut = np.zeros(len(texts), bool)
    filled = [place for place, text in enumerate(texts) if text]
    rows = [places[text_key(texts[place])] for place in filled]
    vectors[filled], cut[filled] = found.vectors[rows], found.cut[rows]
    return Encoded(vectors, cut)


def add_missing(
    store: VectorStore, texts: Mapping[bytes, str], encoder: Encoder, track: Track = silent
) -> None:
    """Encode texts that are not in a store, a shard at a time.

    Args:
        store: Where their vectors go.
        texts: Texts by their hash.
        encoder: The encoder of the store.
        track: Shows progress, a step a text when one shard holds them all, else a step a shard.
    """
    if not texts:
        return
    shards = -(-len(texts) // SHARD_ROWS)
    within = track if shards == 1 else silent
    across = silent if shards == 1 else track
    for part in across(_parts(texts), "Encoding texts, by shard", shards):
        store.add(list(part), encoder.encode_counted(list(part.values()), within))


def _parts(texts: Mapping[bytes, str]) -> Iterator[dict[bytes, str]]:
    rest = iter(texts.items())
    while part := dict(islice(rest, SHARD_ROWS)):
        yield part
