"""Windowed counters of the online executor: running totals, and tiles that leave."""

__all__ = ["keys", "loops", "table", "tiles"]
