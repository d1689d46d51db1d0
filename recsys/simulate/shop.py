"""Running a simulated shop for its days and writing what happened as a workspace."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts.errors import UsageError
from data_contracts.events import Interactions
from data_contracts.progress import Track, silent
from data_contracts.storage import atomic_folder, write_parquet
from features.settings import FeatureSettings
from recsys.config import CONFIG_NAME, TableSettings, WorkspaceConfig, write_config
from recsys.ranker_settings import RankerSettings
from recsys.simulate.catalogue import (
    Catalogue,
    as_instants,
    day_start_us,
    item_table,
    item_truth,
    make_catalogue,
)
from recsys.simulate.choice import Choices, examination, judge
from recsys.simulate.day import (
    CART,
    CLICK,
    PURCHASE,
    Actions,
    act,
    impression_table,
    interaction_table,
    truth_table,
)
from recsys.simulate.memory import Memory, blank, pair_keys
from recsys.simulate.settings import SimulationReport, SimulationSettings
from recsys.simulate.slates import fill_slates, stock_shelf
from recsys.simulate.truth import (
    BRAND,
    TruthExamination,
    TruthImpressions,
    TruthItems,
    TruthUsers,
    truth_path,
)
from recsys.simulate.users import Users, make_users, user_truth
from recsys.simulate.visits import Visits, make_visits
from recsys.split import SplitSettings

_DAY_STREAM = 5

_NOTE = (
    "Simulated: users, items, texts and events come from `recsys simulate`, from known "
    "probabilities. Results on it say how well the method recovers what was put in, and nothing "
    "about people."
)


@dataclass(frozen=True)
class _Day:
    """One simulated day, before it becomes tables."""

    visits: Visits
    slate: np.ndarray
    listed: int
    choices: Choices
    actions: Actions


def simulate(
    target: Path,
    settings: SimulationSettings,
    *,
    track: Track = silent,
    overwrite: bool = False,
) -> SimulationReport:
    """Simulate a shop and write its workspace, with the truth beside it in `truth/`.

    Memory grows with the catalogue, the users and what they clicked, not with the impressions:
    each day is written before the next begins. The same settings give the same bytes.

    Args:
        target: Folder of the workspace; written whole or not at all.
        settings: Size and seed.
        track: Shows how far it is.
        overwrite: Whether a workspace that stands at `target` may be replaced.

    Returns:
        What was written.

    Raises:
        UsageError: Something stands at `target`: a workspace and `overwrite` is off, or anything
            that is no workspace.
    """
    _require_free(target, overwrite=overwrite)
    catalogue, users = make_catalogue(settings), make_users(settings)
    with atomic_folder(target) as folder:
        report = replace(_write_log(folder, settings, catalogue, users, track), path=target)
        write_parquet(item_table(catalogue), folder / TableSettings().items)
        write_parquet(item_truth(catalogue), truth_path(folder, TruthItems))
        write_parquet(user_truth(users, settings), truth_path(folder, TruthUsers))
        write_parquet(_examination_table(settings), truth_path(folder, TruthExamination))
        write_config(_config(settings), folder / CONFIG_NAME)
    return report


def _require_free(target: Path, *, overwrite: bool) -> None:
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not (target / CONFIG_NAME).is_file():
        raise UsageError(
            f"{target} exists and is no workspace",
            "a folder that does not exist, is empty, or holds a workspace",
            "choose another path",
        )
    if not overwrite:
        raise UsageError(
            f"a workspace stands at {target}",
            "a folder that does not exist or is empty",
            "choose another path, or allow it to be overwritten",
        )


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


def _examination_table(settings: SimulationSettings) -> pl.DataFrame:
    return pl.DataFrame(
        [
            pl.Series(
                TruthExamination.position.name, np.arange(1, settings.slate_size + 1), pl.Int32
            ),
            pl.Series(
                TruthExamination.examination.name, examination(settings.slate_size), pl.Float32
            ),
        ]
    )


def _write_log(
    folder: Path, settings: SimulationSettings, catalogue: Catalogue, users: Users, track: Track
) -> SimulationReport:
    tables = TableSettings()
    counts = dict.fromkeys((CLICK, CART, PURCHASE), 0)
    sessions = requests = 0
    pending = pl.DataFrame()
    with ExitStack() as open_tables:
        impressions = open_tables.enter_context(_table(folder / tables.impressions))
        interactions = open_tables.enter_context(_table(folder / tables.interactions))
        truth = open_tables.enter_context(_table(truth_path(folder, TruthImpressions)))
        days = _days(settings, catalogue, users)
        for number, day in enumerate(track(days, "simulating days", settings.days)):
            visits, slate = day.visits, day.slate
            impressions.write(impression_table(number, visits, slate, day.listed))
            truth.write(truth_table(number, visits, slate, day.choices))
            done = interaction_table(number, visits, slate, day.actions, catalogue.price)
            order = (Interactions.timestamp.name, Interactions.event_id.name)
            pending = pl.concat([pending, done]).sort(order) if len(pending) else done
            midnight = as_instants("", np.array([day_start_us(settings, number + 1)]))[0]
            over = Interactions.timestamp.col < midnight
            past, pending = pending.filter(over), pending.filter(~over)
            interactions.write(past)
            for kind in counts:
                counts[kind] += past.filter(Interactions.kind.col == kind).height
            sessions += len(np.unique(visits.session))
            requests += len(slate)
    return SimulationReport(
        path=folder,
        users=len(users.activity),
        items=len(catalogue.texts),
        sessions=sessions,
        requests=requests,
        impressions=requests * settings.slate_size,
        clicks=counts[CLICK],
        carts=counts[CART],
        purchases=counts[PURCHASE],
        unseen_interactions=len(pending),
    )


def _days(settings: SimulationSettings, catalogue: Catalogue, users: Users) -> Iterator[_Day]:
    memory = blank(len(catalogue.texts))
    for day in range(settings.days):
        rng = np.random.default_rng((settings.seed, _DAY_STREAM, day))
        shelf = stock_shelf(catalogue, memory, settings.items, day_start_us(settings, day))
        visits = make_visits(settings, users, day, rng)
        slate = fill_slates(shelf, users, memory, visits, settings.slate_size, rng)
        choices = judge(catalogue, users, memory, visits, slate)
        actions = act(choices, rng)
        yield _Day(visits, slate, shelf.listed, choices, actions)
        memory = _remember(memory, visits, slate, actions)


def _remember(memory: Memory, visits: Visits, slate: np.ndarray, actions: Actions) -> Memory:
    keys = pair_keys(visits.user[:, None], slate)
    return memory.after(keys[actions.clicked], keys[actions.bought])


@dataclass
class _Table:
    """A Parquet file written one row group after the other, which opens at the first."""

    path: Path
    writer: pq.ParquetWriter | None = None

    def write(self, frame: pl.DataFrame) -> None:
        rows: pa.Table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        if self.writer is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.writer = pq.ParquetWriter(self.path, rows.schema, compression="zstd")
        if frame.height:
            self.writer.write_table(rows)


@contextmanager
def _table(path: Path) -> Iterator[_Table]:
    table = _Table(path)
    try:
        yield table
    finally:
        if table.writer is not None:
            table.writer.close()
