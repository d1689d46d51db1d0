"""Vocabulary of the simulated shop and the texts drawn from it."""

__all__ = ["grammar", "vocabulary"]
