"""`recsys simulate`: simulates a shop and writes its log, catalogue and truth as a workspace."""

from contextlib import ExitStack
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from data_contracts.progress import Track, silent
from data_contracts.storage import atomic_folder, write_parquet
from features.settings import FeatureSettings
from recsys.datasets.simulation.choice import examination
from recsys.datasets.simulation.log import LogWriter
from recsys.datasets.simulation.shop import Shop
from recsys.datasets.simulation.world.catalogue import item_truth
from recsys.datasets.simulation.world.settings import SimulationReport, SimulationSettings
from recsys.datasets.simulation.world.truth import (
    BRAND,
    SETTINGS_NAME,
    TRUTH_FOLDER,
    TruthBots,
    TruthExamination,
    TruthItems,
    TruthUsers,
    truth_path,
)
from recsys.datasets.simulation.world.users import user_truth
from recsys.datasets.simulation.world.versions import item_table
from recsys.datasets.write import check_target
from recsys.labels.split import SplitSettings
from recsys.ranker.settings import RankerSettings
from recsys.workspace.config import CONFIG_NAME, TableSettings, WorkspaceConfig, write_config

_NOTE = (
    "Simulated: users, items, texts and events come from `recsys simulate`, from known "
    "probabilities. Results on it say how well the method recovers what was put in, and nothing "
    "about people."
)


def simulate(
    target: Path,
    settings: SimulationSettings,
    *,
    track: Track = silent,
    overwrite: bool = False,
) -> SimulationReport:
    """Simulate a shop and write its workspace, with the truth in its folder `truth/`.

    Memory grows with the catalogue, with the users and what they clicked within `memory_days`, and
    with the interactions of one day, not with the length of the log: a day is written in batches
    before the next begins. The same settings give the same bytes.

    Args:
        target: Folder of the workspace; written whole or not at all.
        settings: Size and seed.
        track: Shows how far it is.
        overwrite: Whether an existing workspace may be replaced.

    Returns:
        Counts of what was written.

    Raises:
        UsageError: `target` is not empty: a workspace and `overwrite` is off, or anything else.
    """
    check_target(target, overwrite=overwrite)
    shop = Shop(settings)
    with atomic_folder(target) as folder:
        with ExitStack() as files:
            log = LogWriter(folder, shop, files)
            for day in track(range(settings.days), "simulating days", settings.days):
                log.write_day(day)
        report = log.report(target)
        items = item_table(shop.catalogue, shop.versions, settings)
        write_parquet(items, folder / TableSettings().items)
        write_parquet(item_truth(shop.catalogue), truth_path(folder, TruthItems))
        write_parquet(user_truth(shop.users, settings), truth_path(folder, TruthUsers))
        looks = pl.DataFrame(
            {
                TruthExamination.position.name: np.arange(1, settings.slate_size + 1),
                TruthExamination.examination.name: examination(settings.slate_size),
            }
        )
        write_parquet(TruthExamination.cast(looks), truth_path(folder, TruthExamination))
        if settings.bots:
            write_parquet(log.robot_truth(), truth_path(folder, TruthBots))
        written = folder / TRUTH_FOLDER / SETTINGS_NAME
        written.write_text(settings.model_dump_json(indent=2) + "\n", encoding="utf-8")
        write_config(_config(settings), folder / CONFIG_NAME)
    return report


def _config(settings: SimulationSettings) -> WorkspaceConfig:
    start = datetime.combine(settings.start, time(), UTC)
    moments = [start + timedelta(days=settings.days * share) for share in (0.5, 0.75, 0.85)]
    return WorkspaceConfig(
        name="simulated shop",
        data_origin="simulated",
        slate_source="logged",
        note=_NOTE,
        attributes={BRAND: "text"},
        split=SplitSettings(text_end=moments[0], ranker_end=moments[1], validation_end=moments[2]),
        features=FeatureSettings(attributes=("category", BRAND)),
        ranker=RankerSettings(lambdarank_norm=False),
    )
