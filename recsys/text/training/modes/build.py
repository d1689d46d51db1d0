"""Text sources of the modes `top_layers`, `lora` and `full`, built from the frozen encoder."""

import copy
import warnings
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from data_contracts.errors import UsageError
from data_contracts.progress import Track, silent
from recsys.text.encoder.bert import TextEncoder
from recsys.text.settings import TextSettings
from recsys.text.training.modes.encoder_source import EncoderSource, TrainingPrecision
from recsys.text.training.modes.hidden_states import hidden_states
from recsys.text.training.modes.layers import entering, layer_stack, set_dropout, states_before
from recsys.text.training.modes.token_table import TokenTable


def _full(encoder: TextEncoder, tokens: TokenTable, settings: TextSettings) -> EncoderSource:
    """Train every weight that a vector depends on."""
    model: nn.Module = copy.deepcopy(encoder.model)
    set_dropout(model, settings.encoder_dropout)
    model.requires_grad_(requires_grad=True)
    # Mean pooling does not use the pooler.
    trainable = {n: p for n, p in model.named_parameters() if not n.startswith("pooler.")}
    return EncoderSource(encoder, tokens, model, trainable, [model], lambda: model)


def _lora(
    encoder: TextEncoder, tokens: TokenTable, settings: TextSettings, seed: int
) -> EncoderSource:
    """Train low-rank adapters beside the linear maps of every layer (Hu et al., 2021)."""
    from peft import LoraConfig, get_peft_model  # noqa: PLC0415 - of use to this mode alone

    model = copy.deepcopy(encoder.model)
    path, layers = layer_stack(model)
    linear = [
        f"{path}.{name}" for name, module in layers.named_modules() if isinstance(module, nn.Linear)
    ]
    set_dropout(model, settings.encoder_dropout)
    torch.manual_seed(seed)
    config = LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,  # type: ignore[arg-type]
        lora_dropout=settings.encoder_dropout,
        target_modules=linear,
    )
    with warnings.catch_warnings():
        # peft asks transformers for something by its old name.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        adapted = get_peft_model(model, config)
    trainable = {n: p for n, p in adapted.named_parameters() if p.requires_grad}
    return EncoderSource(encoder, tokens, adapted, trainable, [adapted], adapted.merge_and_unload)


def _top_layers(
    encoder: TextEncoder,
    tokens: TokenTable,
    settings: TextSettings,
    cache: Path,
    track: Track,
) -> EncoderSource:
    """Train the last layers; the layers below run once per distinct text and are looked up."""
    model: nn.Module = copy.deepcopy(encoder.model)
    model.requires_grad_(requires_grad=False)
    path, layers = layer_stack(model)
    frozen = len(layers) - settings.layers
    if frozen < 0:
        raise UsageError(
            f"layers = {settings.layers} of an encoder of {len(layers)}",
            f"at most {len(layers)}",
            "lower `layers` under [text], or train in mode `full`",
        )
    first = layers[frozen]

    @torch.inference_mode()
    def below(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        inputs = {
            "input_ids": torch.from_numpy(ids).to(encoder.device),
            "attention_mask": torch.from_numpy(mask).to(encoder.device),
        }
        states: np.ndarray = states_before(model, first, inputs).float().cpu().numpy()
        return states

    folder = cache / "hidden" / f"{encoder.fingerprint}-{frozen}"
    states = hidden_states(tokens, folder, encoder.dim, below, track)
    top = layers[frozen:]
    top.requires_grad_(requires_grad=True)
    set_dropout(top, settings.encoder_dropout)
    model.set_submodule(path, top)

    def merged() -> nn.Module:
        model.set_submodule(path, layers)
        return model

    def entrance(texts: np.ndarray, mask: np.ndarray) -> AbstractContextManager[None]:
        return entering(first, torch.from_numpy(states.batch(texts, mask)).to(encoder.device))

    source = EncoderSource(encoder, tokens, model, dict(top.named_parameters()), list(top), merged)
    return replace(source, entrance=entrance)


def encoder_source(
    settings: TextSettings,
    encoder: TextEncoder,
    tokens: TokenTable,
    seed: int,
    cache: Path,
    precision: TrainingPrecision = "fp32",
    track: Track = silent,
) -> EncoderSource:
    """Give the source of a mode that trains the encoder.

    Args:
        settings: `mode` is `top_layers`, `lora` or `full`, and how.
        encoder: Where to begin.
        tokens: The texts.
        seed: Of the adapters' initial weights.
        cache: Where the frozen layers' output is kept.
        precision: What to compute in.
        track: Shows progress.

    Returns:
        The source, on a copy of the encoder's model.

    Raises:
        UsageError: The encoder has fewer layers than `top_layers` trains, or no stack of layers.
    """
    if settings.mode == "top_layers":
        source = _top_layers(encoder, tokens, settings, cache, track)
    elif settings.mode == "lora":
        source = _lora(encoder, tokens, settings, seed)
    else:
        source = _full(encoder, tokens, settings)
    return replace(source, precision=precision)
