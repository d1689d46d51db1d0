"""Evaluation: of bundles on the test period, of launched items, of encoder backends."""

__all__ = ["cold_start", "encoder_bench", "evaluate", "result"]
