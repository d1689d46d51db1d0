from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from data_contracts.progress import Track, silent
from recsys.text.encoder.base import Encoded
from recsys.text.vectors.cache import encoded_of

DIM = 4


@dataclass
class CountingEncoder:
    """Gives each text a vector by its letters, and remembers what it was asked for."""

    fingerprint: str = "first"
    sign: float = 1
    dim: int = DIM
    asked: list[str] = field(default_factory=list)

    def encode_counted(self, texts: Sequence[str], track: Track = silent) -> Encoded:
        self.asked += texts
        vectors = np.array([self.vector(text) for text in texts], np.float32).reshape(-1, DIM)
        return Encoded(vectors, np.array([len(text) > 5 for text in texts], bool))

    def encode(self, texts: Sequence[str], track: Track = silent) -> np.ndarray:
        return self.encode_counted(texts, track).vectors

    def token_counts(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([len(text) for text in texts], np.int64)

    def save(self, folder: Path) -> None:
        raise NotImplementedError

    def vector(self, text: str) -> list[float]:
        return [self.sign * text.count(letter) for letter in "abc"] + [len(text)]


def call(texts: list[str], encoder: CountingEncoder, cache: Path | None) -> np.ndarray:
    return encoded_of(texts, encoder, cache).vectors


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def encoder() -> CountingEncoder:
    return CountingEncoder()


def test_equal_texts_are_encoded_once_and_empty_ones_not_at_all(
    encoder: CountingEncoder,
) -> None:
    texts = ["ab", "", "c", "ab", ""]
    vectors = call(texts, encoder, None)
    assert sorted(encoder.asked) == ["ab", "c"]
    for text, vector in zip(texts, vectors, strict=True):
        expected = encoder.vector(text) if text else [np.nan] * DIM
        np.testing.assert_array_equal(vector, expected)
    assert vectors.dtype == np.float32


def test_known_texts_come_from_the_cache(encoder: CountingEncoder, tmp_path: Path) -> None:
    call(["a", "b"], encoder, tmp_path)
    encoder.asked.clear()
    vectors = call(["b", "cc", "a"], encoder, tmp_path)
    assert encoder.asked == ["cc"]
    np.testing.assert_array_equal(vectors, [encoder.vector(text) for text in ("b", "cc", "a")])
    encoder.asked.clear()
    np.testing.assert_array_equal(call(["cc"], encoder, tmp_path), [encoder.vector("cc")])
    assert encoder.asked == []


def test_vectors_of_another_encoder_never_mix(encoder: CountingEncoder, tmp_path: Path) -> None:
    call(["a", "b"], encoder, tmp_path)
    other = CountingEncoder("second", sign=-1)
    np.testing.assert_array_equal(call(["a"], other, tmp_path), [other.vector("a")])
    assert other.asked == ["a"]
    np.testing.assert_array_equal(call(["a"], encoder, tmp_path), [encoder.vector("a")])


def test_no_text_at_all(encoder: CountingEncoder, tmp_path: Path) -> None:
    assert call([], encoder, tmp_path).shape == (0, DIM)
    assert np.isnan(call([""], encoder, tmp_path)).all()
    assert encoder.asked == []
    assert list(tmp_path.iterdir()) == []


def test_a_failing_encoder_leaves_the_cache_as_it_was(
    encoder: CountingEncoder, tmp_path: Path
) -> None:
    call(["a"], encoder, tmp_path)
    before = files(tmp_path)

    class Broken(CountingEncoder):
        def encode_counted(self, texts: Sequence[str], track: Track = silent) -> Encoded:
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        call(["a", "b"], Broken(), tmp_path)
    assert files(tmp_path) == before
