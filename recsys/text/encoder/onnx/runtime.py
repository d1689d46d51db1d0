"""ONNX Runtime, loaded without its telemetry."""

import os
from types import ModuleType


def onnx_runtime() -> ModuleType:
    """Import ONNX Runtime.

    From 1.29 on, importing it writes an identifier of the machine to disk and sends usage data,
    unless a variable says no. Nothing here sends anything anywhere, so it does.

    Returns:
        The package.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime  # noqa: PLC0415 - an extra, and only after the variable is set

    return onnxruntime


def loading_errors() -> tuple[type[Exception], ...]:
    """List what comes of a file that is no exported encoder; ONNX Runtime has no common class."""
    onnx_runtime()
    from onnxruntime.capi import onnxruntime_pybind11_state as errors  # noqa: PLC0415

    return (
        errors.Fail,
        errors.InvalidArgument,
        errors.InvalidGraph,
        errors.InvalidProtobuf,
        errors.NoSuchFile,
        errors.NotImplemented,
        errors.RuntimeException,
        KeyError,
        ValueError,
        OSError,
    )
