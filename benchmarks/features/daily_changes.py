"""What a catalogue that changes every day costs the day's backfill.

Two shops with the same users and requests, one whose items stay as they are and one in which a
share of them gets another price every day. Of each, all days but the last are computed; then the
tables grow by the last day, and what `recsys backfill` does for it is timed: opening the log, and
computing the day. The two shops take turns, each time from a fresh copy, and the ratio is of the
medians. That a changed item redoes no other day is part of what is timed, and printed.

    python -m benchmarks.features.daily_changes FOLDER [--items 100000] [--changes 0.01]

The logs are made in FOLDER when they are not there. The last line printed is a JSON object.
"""

import argparse
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import polars as pl

from benchmarks.features.simulated_log import configure, simulated_log
from data_contracts.events import Impressions, Interactions
from data_contracts.items import Items
from features.arrays.clock import DAY
from features.settings import FeatureSettings
from recsys.datasets.simulation.world.settings import SimulationSettings
from recsys.workspace.backfill import open_workspace_log, run_backfill
from recsys.workspace.workspace import Workspace

TARGET_RATIO = 1.2
DAYS, USERS, REQUESTS_A_DAY = 20, 20_000, 2_000
STILL, CHANGING = "still", "changing"


@dataclass(frozen=True)
class Day:
    """What the last day of a log cost.

    Attributes:
        seconds: On the clock.
        cpu_seconds: Of all processors.
        days: Days that were computed.
        versions: Versions of items there are.
        changed: Versions that became known on the last day.
    """

    seconds: float
    cpu_seconds: float
    days: int
    versions: int
    changed: int


def settings_of(items: int, changes: float) -> SimulationSettings:
    """Give a shop whose items get other prices, and nothing else."""
    return SimulationSettings(
        items=items,
        users=USERS,
        days=DAYS,
        requests_per_day=REQUESTS_A_DAY,
        new_items_per_day=0,
        price_changes=changes,
        title_changes=0,
        deleted=0,
        late_items=0,
        late_impressions=0,
    )


def prepare(folder: Path, settings: SimulationSettings) -> Workspace:
    """Compute all days of a log but the last, from tables that end before it."""
    whole = simulated_log(folder / "whole", settings)
    root = folder / "until"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(whole.root, root)
    begin = datetime.combine(settings.start, time(), UTC) + timedelta(days=settings.days - 1)
    for table, moment in (
        ("items", Items.updated_at.col),
        ("impressions", Impressions.timestamp.col),
        ("interactions", Interactions.timestamp.col),
    ):
        path = Path(whole.location(table))
        rows = pl.read_parquet(path).filter(moment.is_null() | (moment < begin))
        rows.write_parquet(root / path.name)
    workspace = configure(Workspace.open(root), settings, FeatureSettings(), 1)
    run_backfill(workspace, open_workspace_log(workspace))
    return workspace


def last_day(before: Workspace, whole: Path, folder: Path) -> Day:
    """Time the backfill of the last day, in a fresh copy."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(before.root, folder)
    for path in whole.glob("*.parquet"):
        shutil.copyfile(path, folder / path.name)
    workspace, told = Workspace.open(folder), list[str]()
    clock, cpu = perf_counter(), process_time()
    log = open_workspace_log(workspace)
    run_backfill(workspace, log, tell=told.append)
    cost = perf_counter() - clock, process_time() - cpu
    if told != ["1 day not computed yet"]:
        raise AssertionError(told)
    known = log.catalogue.known
    changed = int((known >= (log.end_day - 1) * DAY - 1).sum())
    return Day(*cost, 1, len(known), changed)


def main(given: Sequence[str] | None = None) -> None:
    """Measure and print, with one JSON object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--changes", type=float, default=0.01)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args(given)
    shares = {STILL: 0.0, CHANGING: arguments.changes}
    prepared = {
        name: prepare(arguments.folder / name, settings_of(arguments.items, share))
        for name, share in shares.items()
    }
    found: dict[str, list[Day]] = {name: [] for name in shares}
    for _ in range(arguments.rounds + 1):
        for name, workspace in prepared.items():
            home = arguments.folder / name
            found[name].append(last_day(workspace, home / "whole", home / "grown"))
    medians = {}
    for name, days in found.items():
        warm = days[1:]
        medians[name] = median(day.seconds for day in warm)
        print(
            f"{name}: {medians[name]:.2f} s ({min(d.seconds for d in warm):.2f} to "
            f"{max(d.seconds for d in warm):.2f}), {median(d.cpu_seconds for d in warm):.2f} s of "
            f"processors; {warm[0].versions:,} versions, {warm[0].changed:,} of the last day"
        )
    ratio = medians[CHANGING] / medians[STILL]
    cpu = [median(day.cpu_seconds for day in found[name][1:]) for name in (CHANGING, STILL)]
    print(f"ratio {ratio:.2f}, of processor time {cpu[0] / cpu[1]:.2f} (target {TARGET_RATIO})")
    print(json.dumps({"ratio": ratio, "cpu_ratio": cpu[0] / cpu[1], **medians}))


if __name__ == "__main__":
    main()
