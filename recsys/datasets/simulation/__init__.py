"""A simulated shop with known truth: the world that the quickstart, tests and benchmarks share."""

from recsys.datasets.simulation.run import simulate
from recsys.datasets.simulation.world.settings import SimulationReport, SimulationSettings

__all__ = ["SimulationReport", "SimulationSettings", "simulate"]
