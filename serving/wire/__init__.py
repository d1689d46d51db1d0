"""Bytes to values and back: slates, problem documents, keys."""
