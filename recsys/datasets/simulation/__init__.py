"""A simulated shop with known truth, for the quickstart, the tests and the benchmarks."""

from recsys.datasets.simulation.run import simulate
from recsys.datasets.simulation.world.settings import SimulationReport, SimulationSettings

__all__ = ["SimulationReport", "SimulationSettings", "simulate"]
