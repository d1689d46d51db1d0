"""Opens the encoder of a bundle; only a backend of torch loads torch."""

from pathlib import Path

from data_contracts.errors import BundleError
from recsys.text.encoder.backends import ONNX, usable_backend, usable_threads
from recsys.text.encoder.base import Encoder
from recsys.text.encoder.settings import EncodingSettings
from recsys.text.settings import TextSettings


def open_saved(
    folder: Path, text: TextSettings, encoding: EncodingSettings, fingerprint: str
) -> Encoder:
    """Open the encoder that a bundle holds.

    Args:
        folder: Weights, tokenizer, and the exported model when the backend has one.
        text: Settings of the bundle.
        encoding: The same, with the device and the threads of this machine.
        fingerprint: Of the encoder whose vectors the bundle holds.

    Returns:
        The encoder; the weights in float32 where the bundle's backend cannot be used, as
        `usable_backend` says. Their vectors differ from those of the backend by less than the
        loss that was allowed when it was chosen.

    Raises:
        BundleError: The weights, the tokenizer or the text length are others.
    """
    choice = usable_backend(encoding.backend, encoding.device)
    if choice.in_use in ONNX:
        from recsys.text.encoder.onnx.encoder import OnnxEncoder, onnx_file  # noqa: PLC0415

        path = folder / onnx_file(choice.in_use)
        found: Encoder = OnnxEncoder.load(path, threads=encoding.threads)
    else:
        import torch  # noqa: PLC0415

        from recsys.text.encoder.bert import TextEncoder  # noqa: PLC0415

        torch.set_num_threads(usable_threads(encoding.threads))
        weights = TextEncoder.load(folder, max_tokens=text.max_tokens, device=encoding.device)
        found = weights.in_bfloat16() if choice.in_use == "torch-bf16" else weights
    expected = fingerprint if choice.reason is None else fingerprint.partition("-")[0]
    if found.fingerprint != expected:
        raise BundleError(
            f"encoder {found.fingerprint} in {folder}",
            f"encoder {expected}, whose vectors the bundle holds",
            "copy the bundle again, or train it anew",
        )
    return found
