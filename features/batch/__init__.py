"""Feature state as of a midnight (`state`), and what reads it."""

__all__ = ["counters", "history", "reader", "state", "state_arrays", "state_files"]
