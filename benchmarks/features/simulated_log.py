"""Simulated workspaces for benchmarks: made once per settings, then used again."""

from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from features.settings import FeatureSettings
from recsys.datasets.simulation.run import simulate
from recsys.datasets.simulation.world.settings import SimulationSettings
from recsys.datasets.simulation.world.truth import SETTINGS_NAME, TRUTH_FOLDER
from recsys.labels.split import SplitSettings
from recsys.workspace.config import CONFIG_NAME, write_config
from recsys.workspace.workspace import Workspace


def simulated_log(folder: Path, settings: SimulationSettings) -> Workspace:
    """Open the simulated shop at `folder`, making it first when it is not there or another one."""
    if settings != _settings_of(folder):
        print(f"simulating {folder}, {settings.days} days", flush=True)
        simulate(folder, settings, overwrite=True)
    return Workspace.open(folder)


def _settings_of(folder: Path) -> SimulationSettings | None:
    try:
        told = (folder / TRUTH_FOLDER / SETTINGS_NAME).read_text(encoding="utf-8")
        return SimulationSettings.model_validate_json(told)
    except (OSError, ValueError):
        return None


def configure(
    workspace: Workspace, simulation: SimulationSettings, features: FeatureSettings, rows_from: int
) -> Workspace:
    """Choose the features of a workspace, and from which day of the log on rows are computed.

    Args:
        workspace: The workspace, whose configuration is written anew.
        simulation: What made its log.
        features: The features.
        rows_from: Day of the log, from 0.

    Returns:
        The workspace with its new configuration.
    """
    # The backfill computes rows from the end of the text model's period on.
    first = datetime.combine(simulation.start, time(), UTC) + timedelta(days=rows_from)
    rest = timedelta(days=simulation.days - rows_from)
    moments = [first + rest * share for share in (0, 0.6, 0.8)]
    split = SplitSettings(text_end=moments[0], ranker_end=moments[1], validation_end=moments[2])
    config = workspace.config.model_copy(update={"features": features, "split": split})
    write_config(config, workspace.root / CONFIG_NAME)
    return Workspace.open(workspace.root)
