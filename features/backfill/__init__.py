"""The backfill job, one file of rows a day: start at `run.backfill`."""

__all__ = ["cluster", "provenance", "rows", "run"]
