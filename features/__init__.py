"""Behavioural features: declared once, computed in batch over a log and online for a request."""

__all__ = [
    "arrays",
    "backfill",
    "batch",
    "checks",
    "counter_spec",
    "defaults",
    "feature_set",
    "kinds",
    "log",
    "online",
    "settings",
]
