"""Ground tools over numpy arrays: time, compiled loops, rows of keys."""

__all__ = ["clock", "compiled", "key_index", "look_up"]
