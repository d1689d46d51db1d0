"""Text encoders: the interface, tokenisation, and the backends (torch, bfloat16, ONNX, int8)."""

__all__ = [
    "backends",
    "base",
    "batching",
    "bert",
    "device",
    "open",
    "open_saved",
    "settings",
    "tokenizer",
]
