"""Ground tools over numpy arrays: time, compiled loops, rows of keys."""
