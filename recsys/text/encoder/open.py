"""Opens the encoder that `[text]` names on the backend that `[encoding]` chooses."""

from pathlib import Path

import torch

from data_contracts.errors import UsageError
from recsys.text.encoder.backends import missing_packages, usable_threads
from recsys.text.encoder.base import Encoder
from recsys.text.encoder.bert import TextEncoder, encoder_folder
from recsys.text.encoder.settings import EncodingSettings
from recsys.text.settings import TextSettings


def load_weights(text: TextSettings, encoding: EncodingSettings) -> TextEncoder:
    """Load the encoder that the settings name, in float32.

    Args:
        text: Which encoder, and how much of a text it reads.
        encoding: On which device and threads.

    Returns:
        The encoder.

    Raises:
        UsageError: There is no readable model, or no such device.
    """
    if encoding.threads is not None:
        torch.set_num_threads(usable_threads(encoding.threads))
    folder = encoder_folder(text.encoder)
    return TextEncoder.load(folder, max_tokens=text.max_tokens, device=encoding.device)


def open_encoder(text: TextSettings, encoding: EncodingSettings, cache: Path) -> Encoder:
    """Load the encoder that the settings name, and give what computes its vectors."""
    return open_backend(load_weights(text, encoding), encoding, cache)


def open_backend(weights: TextEncoder, settings: EncodingSettings, cache: Path) -> Encoder:
    """Give what computes the vectors of an encoder.

    Args:
        weights: The encoder as it was learned, in float32.
        settings: Which backend, on how many threads.
        cache: Folder where exported models are kept, by fingerprint.

    Returns:
        The encoder; `weights` itself for the backend `torch`.

    Raises:
        UsageError: A package is missing, or the machine cannot compute it.
    """
    if settings.backend == "torch":
        return weights
    if settings.backend == "torch-bf16":
        return weights.in_bfloat16()
    path = cache / f"{weights.fingerprint}-{settings.backend}.onnx"
    if missing := missing_packages(settings.backend, exported=path.exists()):
        raise UsageError(
            f"backend {settings.backend} without {', '.join(missing)}",
            "the packages of the extra `onnx`",
            "pip install 'recsys[onnx]', or set backend = \"torch\" under [encoding]",
        )
    from recsys.text.encoder.onnx.encoder import OnnxEncoder  # noqa: PLC0415 - an extra

    if not path.exists():
        from recsys.text.encoder.onnx.export import export_onnx  # noqa: PLC0415

        export_onnx(weights, path, int8=settings.backend == "onnx-int8")
    return OnnxEncoder.load(path, weights.text_tokenizer, threads=settings.threads)
