"""Training modes of the encoder: its top layers, LoRA adapters, or all of its weights."""

__all__ = ["build", "encoder_source", "token_table"]
