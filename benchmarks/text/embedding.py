"""How much memory the vectors of a large catalogue take while they are made.

Titles of four words, nearly all different, are encoded as `recsys encoder embed` does. The encoder
has one slim layer with random weights, so that a million titles take minutes; its vectors are as
long as the default encoder's, which is what memory depends on. Memory is the process's own; pages
of files, which the system drops when it needs them, are told apart.

    python -m benchmarks.text.embedding [--items 1000000] [--precision float16] [--threads 1]
"""

import argparse
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from time import perf_counter
from typing import TypeVar

import numpy as np
import polars as pl
import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer

from recsys.text.encoder.bert import encoder_folder
from recsys.text.encoder.open import open_encoder
from recsys.text.encoder.settings import EncodingSettings
from recsys.text.settings import TextSettings
from recsys.text.vectors.embed import embed_items
from recsys.text.vectors.store import SHARD_ROWS, VectorStore

T = TypeVar("T")

_EVERY = 100_000
_MB = 1e6


def make_items(path: Path, count: int) -> None:
    """Write titles of four words that the default tokenizer takes for one token each."""
    vocabulary = AutoTokenizer.from_pretrained(encoder_folder("minilm")).get_vocab()
    words = np.array(sorted(word for word in vocabulary if word.isascii() and word.isalpha()))
    drawn = words[np.random.default_rng(0).integers(0, len(words), (count, 4))]
    titles = [" ".join(four) for four in drawn.tolist()]
    pl.DataFrame({"title": titles}).write_parquet(path)


def make_encoder(folder: Path) -> None:
    """Write one random layer with the width and the tokenizer of the default encoder."""
    default = encoder_folder("minilm")
    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(default, num_hidden_layers=1, intermediate_size=384)
    AutoModel.from_config(config).save_pretrained(folder)  # type: ignore[no-untyped-call]
    AutoTokenizer.from_pretrained(default).save_pretrained(folder)


def memory() -> dict[str, float]:
    """Give this process's own memory and the pages of files that it looks at, in MB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    kilobytes = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Rss")}
    return {
        "own_mb": int(kilobytes["RssAnon"]) * 1024 / _MB,
        "files_mb": int(kilobytes["RssFile"]) * 1024 / _MB,
    }


def main() -> None:
    """Measure and print, with one JSON object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--precision", choices=("float32", "float16", "int8"), default="float16")
    parser.add_argument("--backend", choices=("torch", "onnx"), default="torch")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    rows: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_items(folder / "items.parquet", arguments.items)
        make_encoder(folder / "encoder")
        text = TextSettings(encoder=str(folder / "encoder"), template=("title",))
        settings = EncodingSettings(backend=arguments.backend, threads=arguments.threads)
        encoder = open_encoder(text, settings, folder)
        store = VectorStore.of(encoder, folder, arguments.precision)
        started = perf_counter()

        def watch(steps: Iterable[T], label: str, total: int) -> Iterable[T]:
            peak = {"own_mb": 0.0, "files_mb": 0.0}
            for number, step in enumerate(steps):
                yield step
                peak = {key: max(peak[key], value) for key, value in memory().items()}
                done = min((number + 1) * SHARD_ROWS, arguments.items)
                if done // _EVERY > (done - SHARD_ROWS) // _EVERY or number + 1 == total:
                    rows.append({"items": done, **peak, "seconds": perf_counter() - started})
                    print({key: round(value) for key, value in rows[-1].items()}, flush=True)

        report = embed_items(pl.scan_parquet(folder / "items.parquet"), text, encoder, store, watch)
        seconds = perf_counter() - started
        disk = sum(path.stat().st_size for path in store.folder.iterdir()) / _MB
        started = perf_counter()
        VectorStore.of(encoder, folder, arguments.precision)
        opened = perf_counter() - started
    print(
        json.dumps(
            {
                "benchmark": "embedding",
                "items": arguments.items,
                "precision": arguments.precision,
                "encoded": report.encoded,
                "texts_per_s": report.encoded / seconds,
                "disk_mb": disk,
                "reopened_s": opened,
                "memory": rows,
            }
        )
    )


if __name__ == "__main__":
    main()
