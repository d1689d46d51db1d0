"""Speed and memory of the backfill and the online executor, and against Feast and plain Python."""
