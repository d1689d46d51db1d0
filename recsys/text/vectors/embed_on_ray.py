"""Vectors of a catalogue on a Ray cluster: every worker encodes runs of items into one store.

The workspace and its cache have to be on storage that all nodes see. A text that stands in several
runs may be encoded by several workers; its first vector counts.
"""

from pathlib import Path

import polars as pl
from ray.util import ActorPool

from data_contracts.progress import Track, silent
from features.backfill.cluster import join_cluster
from recsys.text.encoder.base import Encoder
from recsys.text.encoder.open import open_encoder
from recsys.text.encoder.settings import EncodingSettings
from recsys.text.settings import TextSettings
from recsys.text.vectors.embed import EmbedReport, embed_items
from recsys.text.vectors.store import SHARD_ROWS, VectorStore


class _Worker:
    """Holds one encoder, and encodes one run of items after the other."""

    def __init__(self, text: TextSettings, encoding: EncodingSettings, cache: Path) -> None:
        self._text, self._encoding, self._cache = text, encoding, cache
        self._encoder: Encoder = open_encoder(text, encoding, cache)

    def embed(self, items: pl.LazyFrame, start: int, count: int) -> EmbedReport:
        """Encode some items from a place on."""
        store = VectorStore.of(self._encoder, self._cache, self._encoding.precision)
        part = items.slice(start, count)
        return embed_items(part, self._text, self._encoder, store)


def embed_on_ray(
    items: pl.LazyFrame,
    text: TextSettings,
    encoding: EncodingSettings,
    cache: Path,
    *,
    workers: int,
    address: str | None = None,
    track: Track = silent,
) -> EmbedReport:
    """Encode the texts of items that have no vector yet, on several workers.

    Args:
        items: A table that keeps the contract of items, on storage that all nodes see.
        text: How the text of an item is put together, and which encoder reads it.
        encoding: Where a worker encodes; `threads` is what Ray sets aside for it.
        cache: Folder of stores, on storage that all nodes see.
        workers: How many encode at once.
        address: Of the cluster; see `join_cluster`.
        track: Shows progress, a step 8192 items.

    Returns:
        Counts, over all workers.
    """
    total = items.select(pl.len()).collect().item()
    # The exported model is made once, here, and not by every worker at the same time.
    open_encoder(text, encoding, cache)
    with join_cluster(address) as ray:
        on_gpu = encoding.device.startswith("cuda")
        worker = ray.remote(_Worker).options(
            num_cpus=encoding.threads or 1, num_gpus=1 if on_gpu else 0
        )
        pool = ActorPool([worker.remote(text, encoding, cache) for _ in range(workers)])
        starts = list(range(0, total, SHARD_ROWS))
        reports = pool.map_unordered(
            lambda actor, start: actor.embed.remote(items, start, SHARD_ROWS), starts
        )
        steps = track(reports, "Embedding items on Ray", len(starts))
        return sum(steps, EmbedReport())
