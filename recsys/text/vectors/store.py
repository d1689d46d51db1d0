"""Vectors of texts on disk: shards that are only ever added, mapped into memory when read.

A shard is one safetensors file: the texts' hashes, their vectors, and which texts were cut. It is
written whole or not at all, and named by what it holds, so that several processes may add to one
store, and a job that was killed goes on where it was.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from data_contracts.array_file import ArrayFormat
from recsys.text.encoder.base import Encoded, Encoder
from recsys.text.encoder.settings import Precision
from recsys.text.keys import KEY_BYTES

SHARD_ROWS = 8192
"""Texts of a shard at the most: what is encoded anew after a kill."""

FORMAT = ArrayFormat(
    "vectors of texts (safetensors)", 2, "delete its folder; the vectors are made again"
)
_SUFFIX = ".safetensors"


@dataclass(frozen=True)
class _Shard:
    """A shard, mapped.

    Attributes:
        keys: Hashes of the texts, uint8 [n, 16].
        vectors: float32, float16 or int8 [n, dim].
        scale: float32 [n], of int8 vectors; empty for others.
        cut: bool [n].
    """

    keys: np.ndarray
    vectors: np.ndarray
    scale: np.ndarray
    cut: np.ndarray

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Give some vectors as float32 [n, dim]."""
        found = self.vectors[rows].astype(np.float32)
        return found * self.scale[rows][:, None] if len(self.scale) else found


class VectorStore:
    """The vectors that one encoder gave, in one precision.

    Args:
        folder: Where the shards are; it need not exist.
        dim: Length of a vector.
        precision: How vectors are kept.
    """

    def __init__(self, folder: Path, dim: int, precision: Precision) -> None:
        self.folder, self.dim, self.precision = folder, dim, precision
        self._shards: list[_Shard] = []
        self._starts = [0]
        self._index = pl.DataFrame(schema={"key": pl.Binary, "place": pl.Int64})
        for path in sorted(folder.glob(f"*{_SUFFIX}")):
            self._open(path)
        self._index = self._index.unique("key", keep="first").rechunk()

    @classmethod
    def of(cls, encoder: Encoder, cache: Path, precision: Precision = "float32") -> "VectorStore":
        """Open the store of an encoder, which its fingerprint and the precision name."""
        return cls(cache / f"{encoder.fingerprint}-{precision}", encoder.dim, precision)

    def __len__(self) -> int:
        return self._index.height

    def find(self, keys: Sequence[bytes]) -> np.ndarray:
        """Give the place of each text, int64 [n]; -1 for those without a vector."""
        asked = pl.DataFrame({"key": pl.Series(list(keys), dtype=pl.Binary)})
        found = asked.join(self._index, on="key", how="left", maintain_order="left")
        return found["place"].fill_null(-1).to_numpy()

    def read(self, places: np.ndarray) -> Encoded:
        """Give vectors by place.

        Args:
            places: From `find`, int64 [n], none negative.

        Returns:
            The vectors as float32, and which texts were cut.
        """
        vectors = np.empty((len(places), self.dim), np.float32)
        cut = np.empty(len(places), bool)
        shard_of = np.searchsorted(self._starts, places, side="right") - 1
        for number in np.unique(shard_of):
            here = np.flatnonzero(shard_of == number)
            rows, shard = places[here] - self._starts[number], self._shards[number]
            vectors[here], cut[here] = shard.read(rows), shard.cut[rows]
        return Encoded(vectors, cut)

    def cut(self, places: np.ndarray) -> np.ndarray:
        """Tell by place which texts were cut, bool [n]."""
        everything = [np.zeros(0, bool), *(shard.cut for shard in self._shards)]
        return np.concatenate(everything)[places]

    def add(self, keys: Sequence[bytes], encoded: Encoded) -> None:
        """Add texts as a shard, whole or not at all; it is on disk when this returns.

        Args:
            keys: Of texts that are not there yet, at least one.
            encoded: Their vectors.
        """
        hashes = np.frombuffer(b"".join(keys), np.uint8).reshape(-1, KEY_BYTES)
        arrays = {"keys": hashes, "cut": encoded.cut, **_packed(encoded.vectors, self.precision)}
        name = hashlib.blake2b(hashes.tobytes(), digest_size=KEY_BYTES).hexdigest()
        path = self.folder / f"{name}{_SUFFIX}"
        FORMAT.write(path, arrays)
        self._open(path)

    def _open(self, path: Path) -> None:
        with FORMAT.reading(path) as file:
            scale = file.mapped("scale") if "scale" in file.entries else np.zeros(0, np.float32)
            shard = _Shard(file.mapped("keys"), file.mapped("vectors"), scale, file.mapped("cut"))
        start = self._starts[-1]
        keys = pl.Series("key", [key.tobytes() for key in shard.keys], dtype=pl.Binary)
        places = pl.Series("place", np.arange(start, start + len(keys)))
        self._index = pl.concat([self._index, pl.DataFrame([keys, places])])
        self._shards.append(shard)
        self._starts.append(start + len(keys))


def _packed(vectors: np.ndarray, precision: Precision) -> dict[str, np.ndarray]:
    """Bring vectors into the form they are kept in."""
    if precision != "int8":
        return {"vectors": np.ascontiguousarray(vectors, precision)}
    scale = np.maximum(np.abs(vectors).max(axis=1) / 127, np.float32(1e-12)).astype(np.float32)
    return {"vectors": np.rint(vectors / scale[:, None]).astype(np.int8), "scale": scale}
