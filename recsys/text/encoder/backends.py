"""The backends that are usable on this machine, found without loading one."""

import importlib.util
import os
from dataclasses import dataclass

from data_contracts.errors import UsageError
from recsys.text.encoder.settings import Backend

ONNX: tuple[Backend, ...] = ("onnx", "onnx-int8")
_EXPORTING = ("onnxruntime", "onnx", "onnxscript")


@dataclass(frozen=True)
class BackendChoice:
    """The configured backend, and the one that is used on this machine.

    Attributes:
        chosen: The backend that the settings name.
        in_use: The same, or `torch` where that one cannot be used.
        reason: Why it cannot be used; None when it can.
    """

    chosen: Backend
    in_use: Backend
    reason: str | None


def missing_packages(backend: Backend, *, exported: bool) -> list[str]:
    """List the packages that a backend needs and that are not installed.

    Args:
        backend: The backend.
        exported: Whether its file exists, so that it only has to be run.

    Returns:
        Names of packages.
    """
    if backend not in ONNX:
        return []
    needed = _EXPORTING[:1] if exported else _EXPORTING
    return [name for name in needed if importlib.util.find_spec(name) is None]


def usable_backend(chosen: Backend, device: str) -> BackendChoice:
    """Choose a backend, or torch in float32 where the configured one cannot be used.

    Args:
        chosen: The backend that the settings name.
        device: Device of the torch backends.

    Returns:
        The choice.
    """
    if missing := missing_packages(chosen, exported=True):
        reason = f"{', '.join(missing)} is not installed: pip install 'recsys[onnx]'"
        return BackendChoice(chosen, "torch", reason)
    if chosen == "torch-bf16":
        from recsys.text.encoder.device import require_bfloat16  # noqa: PLC0415 - loads torch

        try:
            require_bfloat16(device)
        except UsageError as error:
            return BackendChoice(chosen, "torch", error.found)
    return BackendChoice(chosen, chosen, None)


def usable_threads(asked: int | None) -> int:
    """Give the number of CPU threads to compute with: one per core the process may use."""
    return asked or len(os.sched_getaffinity(0))
