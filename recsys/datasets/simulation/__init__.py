"""A simulated shop with known truth, for the quickstart, the tests and the benchmarks."""

__all__ = ["run", "world"]
