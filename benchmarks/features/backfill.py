"""How fast, in how much memory, and how evenly the backfill computes features of a simulated log.

Two questions, each answered by what `recsys backfill` does, from an empty folder in a process of
its own. Rows per second and ratios are of opening the log and computing the features; the look at
their quality, which follows and reads them all, is told apart. Memory is that of the whole.

1. Speed: the default features of a log of `--events` rows (`recsys simulate --events`), ranking
   rows from its second day on.
2. Scaling: two logs of the same users, items and daily volume, one over ten times the days, with
   windows, histories and snapshots of at most 28 days: after these 28 days of its 30 the state of
   the short log has its full size, so that only the length of the log differs.

    python -m benchmarks.features.backfill FOLDER [--events 10M] [--scaling-events 10M]

The logs are made in FOLDER when they are not there. The last line printed is a JSON object.
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from benchmarks.features.cost import Cost, measure
from benchmarks.features.simulated_log import configure, simulated_log
from features.backfill.rows import feature_columns
from features.backfill.run import ROWS
from features.settings import FeatureSettings
from recsys.datasets.simulation.world.settings import SimulationSettings
from recsys.datasets.simulation.world.sizing import (
    INTERACTIONS_PER_IMPRESSION,
    parse_count,
    sized_settings,
)
from recsys.workspace.workspace import TABLES, Workspace

TARGET_ROWS_PER_S = 200_000
TARGET_PEAK_GB = 4.0
TARGET_TIME_RATIO = 11.0
TARGET_MEMORY_RATIO = 1.2
SHORT_DAYS, TIMES = 30, 10
LONGEST_DAYS = 28
ROWS_FROM = 1


@dataclass(frozen=True)
class Run:
    """One backfill.

    Attributes:
        events: Rows of the log, impressions and interactions.
        rows: Ranking rows written.
        columns: Features per row.
        cost: What the whole process cost.
        stages: Of opening the log, computing, and looking at the quality: seconds on the clock, and
            of all processors.
    """

    events: int
    rows: int
    columns: int
    cost: Cost
    stages: dict[str, tuple[float, float]]

    @property
    def seconds(self) -> float:
        """Of opening the log and computing, on the clock."""
        return self.stages["open"][0] + self.stages["compute"][0]

    @property
    def cpu_seconds(self) -> float:
        """Of opening the log and computing, of all processors."""
        return self.stages["open"][1] + self.stages["compute"][1]

    def summary(self) -> dict[str, float]:
        """Give the figures, ready for JSON."""
        return {
            "events": self.events,
            "rows": self.rows,
            "columns": self.columns,
            "seconds": round(self.seconds, 2),
            "rows_per_second": round(self.rows / self.seconds),
            "cpu_seconds": round(self.cpu_seconds, 2),
            "rows_per_cpu_second": round(self.rows / self.cpu_seconds),
            "quality_seconds": round(self.stages["quality"][0], 2),
            "process_seconds": round(self.cost.seconds, 2),
            "peak_gb": round(self.cost.peak_bytes / 1e9, 3),
        }


def backfill(workspace: Workspace, workers: int) -> Run:
    """Compute the features of a workspace from nothing, and tell what it cost."""
    folder = workspace.features
    shutil.rmtree(folder, ignore_errors=True)
    print(f"backfill of {workspace.root}", flush=True)
    said = workspace.root / "backfill.log"
    stages = Path(__file__).with_name("backfill_stages.py")
    command = [sys.executable, str(stages), str(workspace.root), "--workers", str(workers)]
    cost = measure(command, said)
    told = json.loads(said.read_text(encoding="utf-8").splitlines()[-1])
    events = sum(_rows(workspace.location(table)) for table in TABLES[1:])
    _, names = feature_columns(folder / ROWS)
    rows = _rows(str(folder / ROWS / "*.parquet"))
    return Run(events, rows, len(names), cost, told)


def _rows(path: str) -> int:
    return int(pl.scan_parquet(path).select(pl.len()).collect().item())


def speed(folder: Path, events: int, workers: int) -> Run:
    """Compute the default features of a log of the given size."""
    settings = sized_settings(events, {})
    workspace = simulated_log(folder / f"events-{events}", settings)
    defaults = FeatureSettings(attributes=workspace.config.features.attributes)
    return backfill(configure(workspace, settings, defaults, ROWS_FROM), workers)


def scaling(folder: Path, events: int, workers: int) -> tuple[Run, Run]:
    """Compute features of two logs of the same daily volume, the second over ten times the days."""
    runs = []
    for days in (SHORT_DAYS, SHORT_DAYS * TIMES):
        settings = _steady(events, days)
        workspace = simulated_log(folder / f"scaling-{events}-{days}d", settings)
        features = FeatureSettings(
            attributes=workspace.config.features.attributes,
            windows_days=(1, 7, 14, LONGEST_DAYS),
            snapshot_window_days=LONGEST_DAYS,
            forget_days=LONGEST_DAYS,
            late_days=7,
        )
        runs.append(backfill(configure(workspace, settings, features, ROWS_FROM), workers))
    return runs[0], runs[1]


def _steady(events: int, days: int) -> SimulationSettings:
    """Give a shop without newcomers that makes `events` in `SHORT_DAYS * TIMES` days."""
    whole = sized_settings(events, {})
    per_request = whole.slate_size * (1 + INTERACTIONS_PER_IMPRESSION)
    return SimulationSettings(
        users=whole.users,
        new_users_per_day=0,
        items=whole.items,
        new_items_per_day=0,
        days=days,
        requests_per_day=events / (SHORT_DAYS * TIMES * per_request),
        memory_days=LONGEST_DAYS,
    )


def main(options: Sequence[str] | None = None) -> None:
    """Run both measurements and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the simulated logs are kept")
    parser.add_argument("--events", type=parse_count, default=parse_count("10M"))
    parser.add_argument(
        "--scaling-events", type=parse_count, help="of the longer log; those of --events if absent"
    )
    parser.add_argument("--no-scaling", action="store_true", help="measure the speed alone")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="blocks of days computed at once"
    )
    arguments = parser.parse_args(options)
    run = speed(arguments.folder, arguments.events, arguments.workers)
    result: dict[str, object] = {
        "benchmark": "feature_backfill",
        "cpus": os.cpu_count(),
        "workers": arguments.workers,
        "load_before": [round(load, 1) for load in os.getloadavg()],
        "speed": run.summary(),
        "target_rows_per_second": TARGET_ROWS_PER_S,
        "target_peak_gb": TARGET_PEAK_GB,
    }
    print(f"{run.summary()}")
    if not arguments.no_scaling:
        events = arguments.scaling_events or arguments.events
        short, long = scaling(arguments.folder, events, arguments.workers)
        result |= {
            "short": short.summary(),
            "long": long.summary(),
            "events_ratio": round(long.events / short.events, 3),
            "time_ratio": round(long.seconds / short.seconds, 2),
            "cpu_time_ratio": round(long.cpu_seconds / short.cpu_seconds, 2),
            "target_time_ratio": TARGET_TIME_RATIO,
            "memory_ratio": round(long.cost.peak_bytes / short.cost.peak_bytes, 3),
            "target_memory_ratio": TARGET_MEMORY_RATIO,
        }
        print(
            f"{result['events_ratio']} times the events: {result['time_ratio']} times the time, "
            f"{result['memory_ratio']} times the memory"
        )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
