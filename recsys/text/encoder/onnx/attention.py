"""Attention exported as one fused node of ONNX Runtime instead of a dozen."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface

_NAME = "recsys_onnx"


def with_fused_attention(model: Any) -> Any:
    """Have a model's attention written as one node when it is exported.

    Args:
        model: A model of transformers; it is changed, and can then be exported, not run.

    Returns:
        The model; as it was when its attention is of a kind of its own.
    """
    if model.is_backend_compatible():
        AttentionInterface.register(_NAME, _attention)
        AttentionMaskInterface.register(_NAME, _mask)
        model.set_attn_implementation(_NAME)
    return model


def _mask(*, attention_mask: Tensor, **_: object) -> Tensor:
    """Pass the mask of a batch on, [b, w]; transformers names more than is needed."""
    return attention_mask.to(torch.int32)


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    *,
    scaling: float,
    **_: object,
) -> tuple[Tensor, None]:
    """Compute attention in the exported graph, with the arguments of transformers.

    `query`, `key` and `value` are float32 [b, heads, w, head_dim]; the result is float32 [b, w,
    heads, head_dim], and no weights.
    """
    texts, heads, tokens, head_dim = query.shape
    wide = [part.transpose(1, 2).flatten(2) for part in (query, key, value)]
    found = torch.onnx.ops.symbolic(
        "com.microsoft::MultiHeadAttention",
        [*wide, None, attention_mask],
        {"num_heads": heads, "scale": float(scaling)},
        dtype=query.dtype,
        shape=(texts, tokens, heads * head_dim),
        version=1,
    )
    return found.reshape(texts, tokens, heads, head_dim), None
