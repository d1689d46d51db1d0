"""Fine-tuning of the interest match. Start at `loop.finetune`."""
