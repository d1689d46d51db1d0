"""Latency of the ranking endpoint against an empty one."""
