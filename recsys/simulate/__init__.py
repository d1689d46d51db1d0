"""A simulated shop with known truth: the world that the quickstart, tests and benchmarks share."""

from recsys.simulate.run import simulate
from recsys.simulate.settings import SimulationReport, SimulationSettings

__all__ = ["SimulationReport", "SimulationSettings", "simulate"]
