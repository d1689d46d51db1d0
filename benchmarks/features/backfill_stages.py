"""What `recsys backfill` does, stage by stage; `backfill.py` runs this in a process.

    python -m benchmarks.features.backfill_stages WORKSPACE [--workers N] [--without-quality]

The last line printed is a JSON object: per stage (opening the log, computing the features, looking
at their quality) the seconds on the clock, and those of all processors.
"""

import argparse
import json
import os
from itertools import pairwise
from pathlib import Path
from time import perf_counter

from features.backfill.run import Scope
from recsys.commands.console import Terminal
from recsys.commands.features import show_quality
from recsys.workspace.backfill import open_workspace_log, run_backfill
from recsys.workspace.workspace import Workspace


def main() -> None:
    """Run the stages one after the other and tell their seconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--without-quality", action="store_true")
    arguments = parser.parse_args()
    console = Terminal()
    track = console.track
    moments = [_now()]
    workspace = Workspace.open(arguments.workspace)
    log = open_workspace_log(workspace)
    moments.append(_now())
    run_backfill(workspace, log, scope=Scope(workers=arguments.workers), track=track)
    moments.append(_now())
    if not arguments.without_quality:
        show_quality(workspace, console)
    moments.append(_now())
    spent = [
        [round(after - before, 3) for before, after in zip(*both, strict=True)]
        for both in pairwise(moments)
    ]
    print(json.dumps(dict(zip(("open", "compute", "quality"), spent, strict=True))))


def _now() -> tuple[float, float]:
    """Give the clock and the processor time of this process and of those it has waited for."""
    spent = os.times()
    cpu = spent.user + spent.system + spent.children_user + spent.children_system
    return perf_counter(), cpu


if __name__ == "__main__":
    main()
