"""Settings, catalogue and users of the simulated shop, and the contracts of their truth."""

__all__ = ["arrays", "catalogue", "settings", "sizing", "truth", "users", "versions"]
