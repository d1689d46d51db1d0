"""Slow aggregates taken at a cadence: co-visitation, repeat rates, priors."""

__all__ = ["files", "snapshot", "take"]
