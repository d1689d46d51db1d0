"""Training modes of the encoder: its top layers, LoRA adapters, or all of its weights."""
