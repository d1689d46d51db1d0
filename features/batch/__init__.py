"""Feature state as of a midnight (`state`), and what reads it."""
