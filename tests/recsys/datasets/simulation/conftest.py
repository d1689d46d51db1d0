from pathlib import Path

import pytest

from recsys.datasets.simulation.run import simulate
from recsys.datasets.simulation.world.settings import SimulationReport, SimulationSettings
from recsys.workspace.workspace import Workspace

# Large enough that a wrong probability shows beyond the noise of the draws.
SETTINGS = SimulationSettings(
    users=300,
    new_users_per_day=2,
    items=400,
    new_items_per_day=10,
    days=16,
    requests_per_day=150,
    slate_size=12,
    seed=7,
)


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> SimulationReport:
    return simulate(tmp_path_factory.mktemp("simulate") / "shop", SETTINGS)


@pytest.fixture(scope="session")
def root(report: SimulationReport) -> Path:
    return report.path


@pytest.fixture(scope="session")
def workspace(root: Path) -> Workspace:
    return Workspace.open(root)
