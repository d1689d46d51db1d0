"""Vectors of texts, computed once per encoder and text, and kept."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from data_contracts.progress import Track, silent
from data_contracts.storage import atomic_file
from recsys.text.encoder import TextEncoder

_KEY_BYTES = 16


def text_key(text: str) -> bytes:
    """Name a text by its hash."""
    return hashlib.blake2b(text.encode(), digest_size=_KEY_BYTES).digest()


def vectors_of(
    texts: Sequence[str], encoder: TextEncoder, cache: Path | None, track: Track = silent
) -> np.ndarray:
    """Give the vector of each text; equal texts are encoded once, known ones not at all.

    Args:
        texts: Any texts.
        encoder: The encoder; its fingerprint names the cache file, so vectors never mix.
        cache: Folder of cache files; None keeps nothing.
        track: Shows progress of what has to be encoded.

    Returns:
        float32 [n_texts, dim]; NaN rows for empty texts, which say nothing.
    """
    path = None if cache is None else cache / f"{encoder.fingerprint}.safetensors"
    known, table = _read(path, encoder.dim)
    keys = [text_key(text) for text in texts]
    missing = {
        key: text for key, text in zip(keys, texts, strict=True) if text and key not in known
    }
    if missing:
        table = np.vstack([table, encoder.encode(list(missing.values()), track)])
        known |= {key: len(known) + place for place, key in enumerate(missing)}
        if path is not None:
            _write(path, known, table)
    vectors = np.full((len(texts), encoder.dim), np.nan, np.float32)
    filled = [place for place, text in enumerate(texts) if text]
    vectors[filled] = table[[known[keys[place]] for place in filled]]
    return vectors


def _read(path: Path | None, dim: int) -> tuple[dict[bytes, int], np.ndarray]:
    if path is None or not path.exists():
        return {}, np.zeros((0, dim), np.float32)
    stored = load_file(path)
    return {key.tobytes(): place for place, key in enumerate(stored["keys"])}, stored["vectors"]


def _write(path: Path, known: dict[bytes, int], table: np.ndarray) -> None:
    keys = np.frombuffer(b"".join(known), np.uint8).reshape(-1, _KEY_BYTES)
    with atomic_file(path) as part:
        save_file({"keys": keys, "vectors": table}, part)
