"""From settings to the encoder that computes the vectors."""

import importlib.util
from pathlib import Path

from data_contracts.errors import UsageError
from recsys.text.encoder import TextEncoder
from recsys.text.encoders.base import Encoder
from recsys.text.encoders.settings import Backend, EncodingSettings

ONNX: tuple[Backend, ...] = ("onnx", "onnx-int8")
_EXPORTING = ("onnxruntime", "onnx", "onnxscript")


def missing_packages(backend: Backend, *, exported: bool = False) -> list[str]:
    """List the packages that a backend needs and that are not installed.

    Args:
        backend: Which one.
        exported: Whether its file is there already, so that it only has to be run.
    """
    if backend not in ONNX:
        return []
    needed = _EXPORTING[:1] if exported else _EXPORTING
    return [name for name in needed if importlib.util.find_spec(name) is None]


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
    from recsys.text.encoders.onnx_backend import OnnxEncoder  # noqa: PLC0415 - an extra

    if not path.exists():
        from recsys.text.encoders.onnx_export import export_onnx  # noqa: PLC0415

        export_onnx(weights, path, int8=settings.backend == "onnx-int8")
    return OnnxEncoder.load(path, weights.text_tokenizer, threads=settings.threads)
