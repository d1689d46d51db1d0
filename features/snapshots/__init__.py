"""Slow aggregates taken at a cadence: co-visitation, repeat rates, priors."""
