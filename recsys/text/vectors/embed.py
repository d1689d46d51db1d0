"""Vectors of a whole catalogue, in bounded memory: only texts that have none are encoded."""

from dataclasses import dataclass, fields

import polars as pl

from data_contracts.progress import Track, silent
from recsys.text.encoder.base import Encoder
from recsys.text.settings import TextSettings
from recsys.text.template import item_texts
from recsys.text.vectors.cache import add_missing
from recsys.text.vectors.store import SHARD_ROWS, VectorStore, text_key


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


class _Waiting:
    """Items whose texts have no vector yet.

    Args:
        encoder: What will encode them.
        store: Where their vectors will go.
    """

    def __init__(self, encoder: Encoder, store: VectorStore) -> None:
        self.encoder, self.store = encoder, store
        self._keys: list[bytes] = []
        self._texts: dict[bytes, str] = {}

    def take(self, texts: list[str]) -> EmbedReport:
        """Take some items' texts; encode when a shard has come together."""
        filled = [text for text in texts if text]
        keys = [text_key(text) for text in filled]
        places = self.store.find(keys)
        for key, text, place in zip(keys, filled, places, strict=True):
            if place < 0:
                self._keys.append(key)
                self._texts[key] = text
        cut = int(self.store.cut(places[places >= 0]).sum())
        report = EmbedReport(len(texts), len(texts) - len(filled), 0, cut)
        return report + self.encode() if len(self._keys) >= SHARD_ROWS else report

    def encode(self) -> EmbedReport:
        """Encode what is waiting."""
        if not self._keys:
            return EmbedReport()
        add_missing(self.store, self._texts, self.encoder)
        cut = int(self.store.cut(self.store.find(self._keys)).sum())
        report = EmbedReport(encoded=len(self._texts), cut=cut)
        self._keys, self._texts = [], {}
        return report


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
    waiting, report = _Waiting(encoder, store), EmbedReport()
    for start in track(range(0, total, SHARD_ROWS), "Embedding items", -(-total // SHARD_ROWS)):
        chunk = items.select(settings.template).slice(start, SHARD_ROWS).collect()
        texts = item_texts(chunk, settings.template, settings.limits)
        report += waiting.take(texts.to_list())
    return report + waiting.encode()
