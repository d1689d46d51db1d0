"""The encoder on ONNX Runtime: exported, quantised, run without torch."""

__all__ = ["encoder", "export"]
