"""Windowed counters of the batch executor: totals at midnight, and a day's tiles."""

__all__ = ["counter", "day_events", "reading", "tile_files", "tiles"]
