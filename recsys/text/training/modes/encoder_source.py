"""Vectors from an encoder some of whose weights are being trained."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from data_contracts.errors import UsageError
from recsys.text.encoder.batching import full_bounds
from recsys.text.encoder.bert import TextEncoder, mean_pooled
from recsys.text.encoder.device import require_bfloat16
from recsys.text.training.modes.token_table import TokenTable

TrainingPrecision = Literal["fp32", "bf16"]
PIECE_TOKENS = 2048
"""Tokens that a training step encodes at once, padding included; their gradients are kept all the
same."""


@dataclass(frozen=True)
class EncoderSource:
    """An encoder in training; it owns its model.

    Attributes:
        encoder: The encoder before training; only its tokenizer and device are used.
        tokens: The texts.
        model: The transformer that is run.
        trainable: Its parameters that are trained, by name.
        active: Its parts with dropout on while training.
        merged: Gives the whole model as it is now, to be called when training is over.
        precision: `bf16` computes in bfloat16 where that is safe; weights stay float32.
        entrance: Replaces the input of the first layer that is trained by its cached states, for
            texts int64 [n] and their mask; by default all layers are run.
    """

    encoder: TextEncoder
    tokens: TokenTable
    model: nn.Module
    trainable: Mapping[str, nn.Parameter]
    active: Sequence[nn.Module]
    merged: Callable[[], nn.Module]
    precision: TrainingPrecision = "fp32"
    entrance: Callable[[np.ndarray, np.ndarray], AbstractContextManager[None]] = lambda *_: (
        nullcontext()
    )

    @property
    def item_text(self) -> np.ndarray:
        """The text of each item, int64 [n_items]; -1 without one."""
        return self.tokens.item_text

    @property
    def query_text(self) -> np.ndarray:
        """The text of each query, int64 [n_queries]; -1 without one."""
        return self.tokens.query_text

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.encoder.dim

    @property
    def device(self) -> str:
        """Device of the vectors."""
        return self.encoder.device

    def lengths(self, texts: np.ndarray) -> np.ndarray:
        """Give the tokens of each text, int64 [n]."""
        return self.tokens.lengths[texts]

    def vectors(self, texts: np.ndarray, *, training: bool) -> Tensor:
        """Encode texts, short ones together; gradients pass through."""
        for part in self.active:
            part.train(training)
        lengths = self.lengths(texts)
        order = np.argsort(-lengths, kind="stable")
        pieces = [
            self._encode(texts[order[low:high]])
            for low, high in full_bounds(lengths[order], PIECE_TOKENS)
        ]
        if not pieces:
            return torch.zeros(0, self.dim, device=self.device)
        back = torch.from_numpy(np.argsort(order, kind="stable")).to(self.device)
        return torch.cat(pieces).index_select(0, back)

    def tuned(self) -> TextEncoder:
        """Give the trained encoder, with a fingerprint of its own; training is then over."""
        model = self.merged()
        model.requires_grad_(requires_grad=False)
        return self.encoder.with_model(model.eval())

    def _encode(self, texts: np.ndarray) -> Tensor:
        ids, mask = self.tokens.batch(texts)
        inputs = {
            "input_ids": torch.from_numpy(ids).to(self.device),
            "attention_mask": torch.from_numpy(mask).to(self.device),
        }
        kind, bf16 = torch.device(self.device).type, self.precision == "bf16"
        with torch.autocast(kind, torch.bfloat16, enabled=bf16), self.entrance(texts, mask):
            states = self.model(**inputs).last_hidden_state
        return mean_pooled(states, inputs["attention_mask"])


def require_precision(precision: TrainingPrecision, device: str) -> None:
    """Refuse bf16 where the device would only emulate it.

    Args:
        precision: Arithmetic of the training.
        device: `cpu`, `cuda`, ...

    Raises:
        UsageError: The device has no units for it.
    """
    if precision == "fp32":
        return
    try:
        require_bfloat16(device)
    except UsageError as error:
        raise UsageError(error.found, error.expected, "train with --precision fp32") from error
