"""Bytes to values and back: slates, problem documents, keys."""

__all__ = ["problems", "responses", "slates"]
