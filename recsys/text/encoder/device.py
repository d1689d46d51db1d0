"""Checks of the device: is it there, and does it have units for bfloat16."""

import torch

from data_contracts.errors import UsageError


def require_device(device: str) -> None:
    """Refuse a device that is not there.

    Args:
        device: `cpu`, `cuda`, `cuda:1`, ...

    Raises:
        UsageError: It is no device, or none of this machine's.
    """
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise UsageError(
            f"device {device!r}", "cpu or cuda", "correct `device` under [encoding]"
        ) from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            f"device {device!r}, and torch {torch.__version__} sees no GPU",
            "an NVIDIA GPU and a build of torch for CUDA",
            'install that build, or set device = "cpu" under [encoding]',
        )


def require_bfloat16(device: str) -> None:
    """Refuse bfloat16 where it would only be emulated.

    Args:
        device: Where it would be computed.

    Raises:
        UsageError: The device has no units for it; torch would take several times as long as in
            float32.
    """
    require_device(device)
    if torch.device(device).type == "cuda":
        supported = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        has = torch.cpu.get_capabilities()
        supported = any(has.get(unit, False) for unit in ("avx512_bf16", "amx_bf16", "bf16"))
    if not supported:
        raise UsageError(
            f"bfloat16 on {device}, which has no units for it",
            "a GPU from Ampere on, or a CPU with AVX512-BF16, AMX or BF16 of ARM",
            'take the backend "torch" or "onnx-int8" under [encoding]',
        )
