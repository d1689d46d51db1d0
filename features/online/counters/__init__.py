"""Windowed counters of the online executor: running totals, and tiles that leave."""
