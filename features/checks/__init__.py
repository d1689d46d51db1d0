"""Checks on features: coverage and drift, and equality of both executors."""

__all__ = ["parity", "quality", "replay"]
