"""Vectors of a whole catalogue, in bounded memory: only texts that have none are encoded."""

from dataclasses import dataclass, fields

import polars as pl

from data_contracts.progress import Track, silent
from recsys.text.encoder.base import Encoder
from recsys.text.keys import text_key
from recsys.text.settings import TextSettings
from recsys.text.template import item_texts
from recsys.text.vectors.cache import add_missing
from recsys.text.vectors.store import SHARD_ROWS, VectorStore


@dataclass(frozen=True)
class EmbedReport:
    """Counts of an embedding of a catalogue.

    Attributes:
        items: Items of the catalogue.
        without_text: Items whose text is empty; they get no vector.
        encoded: Texts that were encoded now.
        cut: Items whose text is longer than the encoder reads.
    """

    items: int = 0
    without_text: int = 0
    encoded: int = 0
    cut: int = 0

    def __add__(self, other: "EmbedReport") -> "EmbedReport":
        return EmbedReport(
            *(getattr(self, part.name) + getattr(other, part.name) for part in fields(self))
        )


def embed_items(
    items: pl.LazyFrame,
    settings: TextSettings,
    encoder: Encoder,
    store: VectorStore,
    track: Track = silent,
) -> EmbedReport:
    """Encode the texts of items that have no vector yet.

    Args:
        items: A table that keeps the contract of items, of any length.
        settings: How the text of an item is put together.
        encoder: The encoder.
        store: Its store.
        track: Shows progress, a step 8192 items.

    Returns:
        Counts. After an interruption, the same call goes on with what is missing.
    """
    total = items.select(pl.len()).collect().item()
    report, waiting = EmbedReport(), list[tuple[bytes, str]]()
    for start in track(range(0, total, SHARD_ROWS), "Embedding items", -(-total // SHARD_ROWS)):
        chunk = items.select(settings.template).slice(start, SHARD_ROWS).collect()
        texts = item_texts(chunk, settings.template, settings.limits)
        keyed = [(text_key(text), text) for text in texts if text]
        places = store.find([key for key, _ in keyed])
        waiting += [pair for pair, place in zip(keyed, places, strict=True) if place < 0]
        cut = int(store.cut(places[places >= 0]).sum())
        report += EmbedReport(len(texts), len(texts) - len(keyed), 0, cut)
        if len(waiting) >= SHARD_ROWS or start + SHARD_ROWS >= total:
            distinct = dict(waiting)
            add_missing(store, distinct, encoder)
            cut = int(store.cut(store.find([key for key, _ in waiting])).sum())
            report += EmbedReport(encoded=len(distinct), cut=cut)
            waiting.clear()
    return report
