"""Kinds of feature, one module a family; each kind is a class that reads as its definition."""

__all__ = [
    "affinity",
    "base",
    "co_visitation",
    "columns",
    "context",
    "counts",
    "history",
    "item",
    "repeats",
    "slate",
]
