"""Fine-tuning of the interest match. Start at `loop.finetune`."""

__all__ = ["checkpoints", "loop", "model", "modes", "text_source", "workers"]
