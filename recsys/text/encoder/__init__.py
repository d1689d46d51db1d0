"""Text encoders: the interface, tokenisation, and the backends (torch, bfloat16, ONNX, int8)."""
