"""Vectors of texts: stored in shards, computed once, for a whole catalogue."""
