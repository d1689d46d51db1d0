"""What `recsys backfill` does, stage by stage; `feature_backfill.py` runs this in a process.

    python benchmarks/backfill_stages.py WORKSPACE

The last line printed is a JSON object: seconds of opening the log, of computing the features, and
of looking at their quality.
"""

import argparse
import json
from itertools import pairwise
from pathlib import Path
from time import perf_counter

from rich.console import Console

from recsys.console import ConsoleTrack
from recsys.feature_commands import show_quality
from recsys.ranking_rows import open_workspace_log, run_backfill
from recsys.workspace import Workspace


def main() -> None:
    """Run the stages one after the other and tell their seconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspace", type=Path)
    arguments = parser.parse_args()
    console = Console()
    track = ConsoleTrack(console)
    moments = [perf_counter()]
    workspace = Workspace.open(arguments.workspace)
    log = open_workspace_log(workspace)
    moments.append(perf_counter())
    run_backfill(workspace, log, track=track)
    moments.append(perf_counter())
    show_quality(workspace, console, track)
    moments.append(perf_counter())
    spent = [round(after - before, 3) for before, after in pairwise(moments)]
    print(json.dumps(dict(zip(("open", "compute", "quality"), spent, strict=True))))


if __name__ == "__main__":
    main()
