"""A simulated shop with known truth: the world that the quickstart, tests and benchmarks share."""

from recsys.simulate.settings import SimulationReport, SimulationSettings
from recsys.simulate.shop import simulate

__all__ = ["SimulationReport", "SimulationSettings", "simulate"]
