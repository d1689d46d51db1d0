"""Small worlds with a known answer, shared by the tests of all layers."""

import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl
import torch
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from features.arrays.clock import DAY
from features.arrays.key_index import MISSING
from features.backfill.lock import LOCK
from features.log.history import History
from features.log.requests import Rows
from recsys.bundle.manifest import MANIFEST, file_hashes
from recsys.bundle.versions import MODEL, STATE
from recsys.labels.slates import LabelledSlates
from recsys.text.training.text_source import FrozenVectors
from recsys.workspace.config import CONFIG_NAME, write_config
from recsys.workspace.workspace import Workspace

T = TypeVar("T")

WORDS = ("red", "blue", "wool", "silk", "scarf", "mug", "lamp", "garden", "winter", "gift")
NOON = 20_000 * DAY + DAY // 2


def small_encoder(folder: Path, *, seed: int = 0, words: tuple[str, ...] = WORDS) -> Path:
    """Write a random BERT of two layers with a tokenizer of a few words."""
    folder.mkdir(parents=True)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {word: place for place, word in enumerate([*special, *words])}
    pieces = folder / "pieces.json"
    BertWordPieceTokenizer(vocabulary).save(str(pieces))
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_file=str(pieces),
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    )
    tokenizer.save_pretrained(folder)
    pieces.unlink()
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def with_quick_training(workspace: Workspace) -> Workspace:
    """Shorten the training of a workspace to seconds."""
    config = workspace.config
    text = config.text.model_copy(update={"steps": 30, "batch_slates": 16, "positives": 3})
    ranker = config.ranker.model_copy(update={"num_iterations": 40, "min_data_in_leaf": 20})
    quick = config.model_copy(update={"text": text, "ranker": ranker})
    write_config(quick, workspace.root / CONFIG_NAME)
    return Workspace.open(workspace.root)


def listing(folder: Path) -> dict[str, int]:
    """Give every path below a folder, hidden ones too, but locks; files with when they changed."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_mtime_ns if path.is_file() else 0
        for path in folder.rglob("*")
        if path.name != LOCK
    }


def stamp_again(version: Path) -> None:
    """Bring the hashes of a changed version up to date, as someone with intent would."""
    for part in (version / MODEL, version / STATE):
        content = json.loads((part / MANIFEST).read_text(encoding="utf-8"))
        content["files"] = file_hashes(part)
        (part / MANIFEST).write_text(json.dumps(content), encoding="utf-8")


class InterruptionError(Exception):
    """What stops a job in a test."""


@dataclass
class FailingTrack:
    """Lets a job go on until the first step with a label is over.

    Attributes:
        label: Where to stop; None never stops.
        seen: Labels met so far.
    """

    label: str | None
    seen: list[str]

    def __call__(self, steps: Iterable[T], label: str, total: int) -> Iterable[T]:
        self.seen.append(label)
        for place, step in enumerate(steps):
            if label == self.label and place == 1:
                raise InterruptionError
            yield step


def copy_folder(source: Path, target: Path) -> Path:
    """Copy a folder; the encoder's weights, by far the largest file, only by a link."""

    def copy(file: str, to: str) -> None:
        (os.link if Path(file).name == "model.safetensors" else shutil.copy2)(file, to)

    return shutil.copytree(source, target, copy_function=copy)


def tamper(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Change a file, and not what it may be a link to."""
    content = change(path.read_bytes())
    path.unlink()
    path.write_bytes(content)


@dataclass(frozen=True)
class Taste:
    """Slates whose users like what points their way.

    Attributes:
        slates: The requests.
        vectors: Of the items; there are no queries.
    """

    slates: LabelledSlates
    vectors: FrozenVectors


def planted_taste(requests: int = 400, seed: int = 0, dim: int = 16) -> Taste:
    """Make users of two groups who like items by one entry of the vector, up or down.

    The entry is small beside the others, so that plain similarity hardly sees it.
    """
    random = np.random.default_rng(seed)
    items, slate, past = 300, 10, 5
    side = random.choice((-1.0, 1.0), items)
    raw = random.normal(size=(items, dim))
    raw[:, 0] = 0.4 * side
    vectors = (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)
    liked = random.choice((-1.0, 1.0), requests)
    item = np.stack([random.choice(items, slate, replace=False) for _ in range(requests)])
    grade = (side[item] == liked[:, None]) & (random.random(item.shape) < 0.9)
    history = np.stack(
        [random.choice(np.flatnonzero(side == taste), past, replace=False) for taste in liked]
    )
    time = NOON + np.arange(requests) * DAY // 100
    slates = LabelledSlates(
        Rows(
            time,
            np.arange(requests, dtype=np.int32),
            np.arange(requests + 1) * slate,
            item.ravel().astype(np.int32),
        ),
        item.ravel().astype(np.int32),
        grade.ravel().astype(np.uint8),
        np.ones(item.size),
        History(
            np.arange(requests + 1) * past,
            history.ravel().astype(np.int32),
            np.zeros(history.size, np.int16),
            np.repeat(time - DAY, past),
        ),
        history.ravel().astype(np.int32),
        np.full(requests, MISSING, np.int32),
        int(time[-1]) + DAY,
    )
    return Taste(slates, FrozenVectors(vectors, np.zeros((0, dim), np.float32)))


def table(rows: dict[str, list[object]], schema: pl.Schema) -> pl.DataFrame:
    """Make a table of a contract's columns from some of them."""
    return pl.DataFrame(rows, schema={name: schema[name] for name in rows}).select(
        pl.col(name) if name in rows else pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in schema.items()
    )
