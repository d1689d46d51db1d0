"""Windowed counters of the batch executor: totals at midnight, and a day's tiles."""
