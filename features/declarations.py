"""Kept until every module imports from `features.kinds`."""

from features.kinds.slate import slate_rank

__all__ = ["slate_rank"]
