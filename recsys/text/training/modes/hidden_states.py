"""Hidden states of the frozen lower layers: computed once a text, kept on disk, memory-mapped.

A folder for each encoder and number of frozen layers holds parts, `N.npy` (float16 [n_tokens, dim])
with `N.safetensors` (the texts' keys and where they begin). Texts that are new go into a part of
their own; those that are there are never computed again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from data_contracts.progress import Track
from data_contracts.storage import atomic_file
from recsys.text.encoder.batching import batch_bounds
from recsys.text.encoder.bert import TOKEN_BUDGET
from recsys.text.keys import text_key
from recsys.text.training.modes.token_table import TokenTable

Compute = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Token ids and mask, int64 [b, w], to states, float [b, w, dim]."""

_LARGEST = np.finfo(np.float16).max


@dataclass(frozen=True)
class HiddenStates:
    """States of the tokens of every text.

    Attributes:
        parts: float16 [n_tokens, dim] each, memory-mapped.
        part: Which of them holds a text, int64 [n_texts].
        first: Row of its first token there, int64 [n_texts].
    """

    parts: tuple[np.ndarray, ...]
    part: np.ndarray
    first: np.ndarray

    def batch(self, texts: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Put the states of texts side by side.

        Args:
            texts: int64 [b], places of texts.
            mask: int64 [b, w], 1 where there is a token.

        Returns:
            float32 [b, w, dim]; 0 beyond the end.
        """
        there = mask > 0
        states = np.zeros((*mask.shape, self.parts[0].shape[1]), np.float32)
        rows = self.first[texts][:, None] + np.arange(mask.shape[1])
        for number in np.unique(self.part[texts]):
            here = there & (self.part[texts] == number)[:, None]
            states[here] = self.parts[number][rows[here]]
        return states


def hidden_states(
    tokens: TokenTable,
    folder: Path,
    dim: int,
    compute: Compute,
    track: Track,
) -> HiddenStates:
    """Give the states of all texts, computing those that are not there yet.

    Args:
        tokens: The texts.
        folder: Of this encoder and number of layers.
        dim: Length of a state.
        compute: Runs the frozen layers.
        track: Shows progress, a step a batch.

    Returns:
        The states.
    """
    keys = [text_key(text) for text in tokens.texts]
    known = _known(folder)
    missing = np.array([n for n, key in enumerate(keys) if key not in known], np.int64)
    if len(missing):
        _write_part(tokens, missing, keys, folder, dim, compute, track)
        known = _known(folder)
    places = np.array([known[key] for key in keys], np.int64).reshape(-1, 2)
    count = places[:, 0].max(initial=-1) + 1
    parts = tuple(np.load(folder / f"{n}.npy", mmap_mode="r") for n in range(count))
    return HiddenStates(parts, places[:, 0], places[:, 1])


def _known(folder: Path) -> dict[bytes, tuple[int, int]]:
    """Give the part and the first row of every text that is there."""
    known: dict[bytes, tuple[int, int]] = {}
    for number in range(len(list(folder.glob("*.safetensors")))):
        index = load_file(folder / f"{number}.safetensors")
        for key, first in zip(index["keys"], index["first"].tolist(), strict=True):
            known[key.tobytes()] = (number, first)
    return known


def _write_part(
    tokens: TokenTable,
    missing: np.ndarray,
    keys: list[bytes],
    folder: Path,
    dim: int,
    compute: Compute,
    track: Track,
) -> None:
    number = len(list(folder.glob("*.safetensors")))
    lengths = tokens.lengths[missing]
    first = np.append(0, np.cumsum(lengths))
    order = np.argsort(-lengths, kind="stable")
    bounds = batch_bounds(lengths[order], TOKEN_BUDGET)
    with atomic_file(folder / f"{number}.npy") as part:
        shape = (int(first[-1]), dim)
        states = np.lib.format.open_memmap(part, "w+", dtype=np.float16, shape=shape)
        for low, high in track(bounds, "Running the frozen layers", len(bounds)):
            places = order[low:high]
            ids, mask = tokens.batch(missing[places])
            found = np.clip(compute(ids, mask), -_LARGEST, _LARGEST)
            rows = first[places][:, None] + np.arange(mask.shape[1])
            states[rows[mask > 0]] = found[mask > 0]
        states.flush()
        del states
    with atomic_file(folder / f"{number}.safetensors") as part:
        named = np.frombuffer(b"".join(keys[n] for n in missing), np.uint8)
        save_file({"keys": named.reshape(len(missing), -1), "first": first[:-1]}, part)
