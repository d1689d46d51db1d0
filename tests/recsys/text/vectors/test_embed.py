from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl
import pytest
import ray

from data_contracts.errors import DataError
from recsys.text.encoder.bert import TextEncoder
from recsys.text.encoder.settings import EncodingSettings, Precision
from recsys.text.keys import text_key
from recsys.text.settings import TextSettings
from recsys.text.template import item_texts
from recsys.text.vectors.embed import EmbedReport, embed_items
from recsys.text.vectors.embed_on_ray import embed_on_ray
from recsys.text.vectors.store import FORMAT, VectorStore
from tests.worlds import WORDS, InterruptionError

T = TypeVar("T")

COUNT = 50
SHARD = 8
CLOSE = {"float32": 0.0, "float16": 1e-3, "int8": 1e-2}


@pytest.fixture
def items(tmp_path: Path) -> Path:
    """A catalogue with two empty titles, a text that stands twice, and one that is cut."""
    titles = [f"{WORDS[place % 10]} {WORDS[place // 10]} {place}" for place in range(COUNT)]
    titles[3], titles[30], titles[7] = "", "", titles[8]
    titles[11] = " ".join([*WORDS, *WORDS])
    path = tmp_path / "items.parquet"
    pl.DataFrame({"title": titles}).write_parquet(path)
    return path


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("cache", "embed", "embed_on_ray"):
        monkeypatch.setattr(f"recsys.text.vectors.{module}.SHARD_ROWS", SHARD)


@pytest.fixture
def text(tiny_encoder: Path) -> TextSettings:
    return TextSettings(encoder=str(tiny_encoder), template=("title",), max_tokens=16)


@pytest.fixture
def encoder(text: TextSettings) -> TextEncoder:
    return TextEncoder.load(text.encoder, max_tokens=text.max_tokens)


def stop_after(steps_before: int) -> object:
    """Let a job make some steps, as one that is killed."""

    def track(steps: Iterable[T], label: str, total: int) -> Iterable[T]:
        for place, step in enumerate(steps):
            if place == steps_before:
                raise InterruptionError
            yield step

    return track


def texts_of(items: Path, text: TextSettings) -> list[str]:
    found = item_texts(pl.read_parquet(items), text.template, text.limits)
    return [one for one in found.unique(maintain_order=True).to_list() if one]


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_every_text_gets_its_vector(
    items: Path, text: TextSettings, encoder: TextEncoder, tmp_path: Path, precision: Precision
) -> None:
    store = VectorStore.of(encoder, tmp_path / "cache", precision)
    report = embed_items(pl.scan_parquet(items), text, encoder, store)
    assert report == EmbedReport(items=COUNT, without_text=2, encoded=COUNT - 3, cut=1)
    texts = texts_of(items, text)
    reopened = VectorStore.of(encoder, tmp_path / "cache", precision)
    assert len(reopened) == len(texts)
    found = reopened.read(reopened.find([text_key(one) for one in texts]))
    np.testing.assert_allclose(found.vectors, encoder.encode(texts), atol=CLOSE[precision] + 1e-6)
    assert found.cut.sum() == 1
    assert reopened.find([text_key("never seen")]).tolist() == [-1]


def test_a_killed_job_goes_on_and_ends_in_the_same_vectors(
    items: Path, text: TextSettings, encoder: TextEncoder, tmp_path: Path
) -> None:
    folder = tmp_path / "cache"
    with pytest.raises(InterruptionError):
        embed_items(
            pl.scan_parquet(items),
            text,
            encoder,
            VectorStore.of(encoder, folder),
            stop_after(3),  # type: ignore[arg-type]
        )
    store = VectorStore.of(encoder, folder)
    done = len(store)
    assert 0 < done < COUNT - 3
    report = embed_items(pl.scan_parquet(items), text, encoder, store)
    assert report.encoded == COUNT - 3 - done
    texts = texts_of(items, text)
    found = store.read(store.find([text_key(one) for one in texts]))
    np.testing.assert_allclose(found.vectors, encoder.encode(texts), atol=1e-6)
    assert not [path for path in folder.rglob("*") if path.name.startswith(".")]


def test_only_changed_texts_are_encoded(
    items: Path, text: TextSettings, encoder: TextEncoder, tmp_path: Path
) -> None:
    store = VectorStore.of(encoder, tmp_path / "cache")
    embed_items(pl.scan_parquet(items), text, encoder, store)
    before = {path: path.read_bytes() for path in store.folder.iterdir()}
    assert embed_items(pl.scan_parquet(items), text, encoder, store).encoded == 0
    first = pl.when(pl.int_range(pl.len()) < 2).then(pl.lit("new ") + pl.col("title"))
    changed = pl.read_parquet(items).with_columns(first.otherwise("title").alias("title"))
    assert embed_items(changed.lazy(), text, encoder, store).encoded == 2
    assert before.items() <= {path: path.read_bytes() for path in store.folder.iterdir()}.items()


def test_a_shard_is_mapped_and_not_loaded(
    items: Path, text: TextSettings, encoder: TextEncoder, tmp_path: Path
) -> None:
    store = VectorStore.of(encoder, tmp_path / "cache", "float16")
    embed_items(pl.scan_parquet(items), text, encoder, store)
    path = next(store.folder.iterdir())
    with FORMAT.reading(path) as file:
        base: object = file.mapped("vectors")
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)
    assert not base.flags.writeable


@pytest.mark.parametrize("content", [b"", b"\x05", b"\x10\0\0\0\0\0\0\0no json at all.."])
def test_a_damaged_shard_is_refused(content: bytes, encoder: TextEncoder, tmp_path: Path) -> None:
    store = VectorStore.of(encoder, tmp_path)
    store.folder.mkdir()
    (store.folder / "0.safetensors").write_bytes(content)
    with pytest.raises(DataError, match="safetensors"):
        VectorStore.of(encoder, tmp_path)


@pytest.mark.serve
@pytest.mark.slow
def test_a_cluster_gives_the_same_vectors(
    items: Path, text: TextSettings, encoder: TextEncoder, tmp_path: Path
) -> None:
    scan = pl.scan_parquet(items)
    report = embed_on_ray(scan, text, EncodingSettings(threads=1), tmp_path / "cache", workers=2)
    assert not ray.is_initialized()
    assert (report.items, report.without_text, report.cut) == (COUNT, 2, 1)
    store = VectorStore.of(encoder, tmp_path / "cache")
    texts = texts_of(items, text)
    found = store.read(store.find([text_key(one) for one in texts]))
    np.testing.assert_allclose(found.vectors, encoder.encode(texts), atol=1e-6)
