"""An encoder as an ONNX file: pooling and normalisation inside, any batch and any length."""

import copy
import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from data_contracts.errors import UsageError
from data_contracts.storage import atomic_file
from recsys.text.encoder.bert import TextEncoder, mean_pooled
from recsys.text.encoder.onnx.attention import with_fused_attention
from recsys.text.encoder.onnx.encoder import INPUTS, OUTPUT, OnnxEncoder
from recsys.text.encoder.onnx.quantise import quantise_products
from recsys.text.encoder.onnx.runtime import onnx_runtime

_OPSET = 21
_CLOSE = {"onnx": 0.9999, "onnx-int8": 0.95}
"""Cosine of an exported model's vectors to the original's, at the least."""
_PROBES = ("a", "red wool scarf, 2 m", "", "one two three four five six seven eight nine ten")


class _Pooled(nn.Module):
    """The model with what comes after it."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Give the vectors of a batch, float32 [b, dim]."""
        states = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return mean_pooled(states, attention_mask)


def export_onnx(encoder: TextEncoder, path: Path, *, int8: bool) -> OnnxEncoder:
    """Write an encoder as ONNX, whole or not at all.

    Args:
        encoder: The encoder, in float32.
        path: Where to write the file; `onnx_file` names it.
        int8: Whether products with constant matrices are computed in int8.

    Returns:
        What was written, opened.

    Raises:
        UsageError: The model cannot be exported, or its vectors come out as others.
    """
    backend = "onnx-int8" if int8 else "onnx"
    with tempfile.TemporaryDirectory(prefix="recsys-onnx-") as folder:
        whole, folded = Path(folder) / "whole.onnx", Path(folder) / "folded.onnx"
        _trace(encoder, whole)
        model = _folded(whole, folded)
    if int8:
        model = quantise_products(model)
    told = {
        "fingerprint": f"{encoder.fingerprint}-{backend}",
        "max_tokens": str(encoder.max_tokens),
        "pad_id": str(encoder.text_tokenizer.pad_id),
    }
    for name, value in told.items():
        model.metadata_props.add(key=name, value=value)
    with atomic_file(path) as part:
        onnx.save(model, part)
        found = OnnxEncoder.load(part, encoder.text_tokenizer)
        _require_same_vectors(encoder, found, backend)
    return found


def _trace(encoder: TextEncoder, path: Path) -> None:
    ids, mask = (torch.ones(2, 7, dtype=torch.int64) for _ in range(2))
    plain = copy.deepcopy(encoder.model).to("cpu").float().eval()
    model = _Pooled(with_fused_attention(plain)).eval()
    sizes = {0: torch.export.Dim("texts"), 1: torch.export.Dim("tokens")}
    try:
        # The exporter warns of its own deprecated parts, and logs which libraries it misses.
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                model,
                (ids, mask),
                path,
                input_names=list(INPUTS),
                output_names=[OUTPUT],
                opset_version=_OPSET,
                dynamic_shapes=dict.fromkeys(INPUTS, sizes),
                external_data=False,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise UsageError(
            f"a model that ONNX cannot hold ({str(error).splitlines()[0]})",
            "a BERT-like model",
            'take the backend "torch" under [encoding]',
        ) from error


def _folded(path: Path, folded: Path) -> onnx.ModelProto:
    """Have constants computed and nodes fused that any machine would fuse."""
    runtime = onnx_runtime()
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(folded)
    options.log_severity_level = 3
    runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return onnx.load(folded)


def _require_same_vectors(encoder: TextEncoder, found: OnnxEncoder, backend: str) -> None:
    # A tokenizer without special tokens makes nothing of an empty text.
    probes = [
        text for text, tokens in zip(_PROBES, encoder.token_counts(_PROBES), strict=True) if tokens
    ]
    cosine = float(np.sum(encoder.encode(probes) * found.encode(probes), axis=1).min())
    if not cosine >= _CLOSE[backend]:
        raise UsageError(
            f"vectors of the exported model with cosine {cosine:.4f} to the original's",
            f"at least {_CLOSE[backend]}",
            'take the backend "torch" under [encoding]',
        )
