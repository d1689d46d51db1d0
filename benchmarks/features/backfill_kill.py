"""Kills a backfill at random moments, lets it end, and compares its bytes with a calm run's.

    python -m benchmarks.features.backfill_kill FOLDER [--events 1M] [--kills 20] [--workers 2]

What is killed opens the log and computes the features; the look at their quality, which changes
no file, is left out. A simulated log is made in FOLDER when it is not there. Each kill is SIGKILL
at a moment drawn evenly over the length of the undisturbed run, and meets a running backfill: one
that ended before it is compared and begun anew. The last line printed is a JSON object.
"""

import argparse
import hashlib
import json
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

from features.backfill.run import ROWS, SNAPSHOTS, STATE
from recsys.workspace.config import CONFIG_NAME


def recsys(*arguments: str) -> list[str]:
    """Give a command of this installation."""
    return [sys.executable, "-c", "from serving.cli import main; main()", *arguments]


def hashes(folder: Path) -> dict[str, str]:
    """Hash every file that a backfill leaves for others."""
    files = [path for part in (ROWS, SNAPSHOTS, STATE) for path in (folder / part).rglob("*")]
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(files)
        if path.is_file()
    }


def run_killed(command: list[str], after: float) -> bool:
    """Begin the command and kill it after so many seconds; tell whether it was still running."""
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.kill()
            return True
        return False


def main() -> None:
    """Make the log, run undisturbed and disturbed, and print the outcome."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--events", default="1M")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    workspace = arguments.folder / f"kill-{arguments.events}"
    if not (workspace / CONFIG_NAME).exists():
        subprocess.run(recsys("simulate", str(workspace), "--events", arguments.events), check=True)
    stages = Path(__file__).with_name("backfill_stages.py")
    options = ["--workers", str(arguments.workers), "--without-quality"]
    command = [sys.executable, str(stages), str(workspace), *options]
    features = workspace / "features"
    shutil.rmtree(features, ignore_errors=True)
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - begun
    undisturbed = hashes(features)
    shutil.rmtree(features)
    draw = random.Random(arguments.seed)
    killed, ended, same = 0, 0, True
    while killed < arguments.kills:
        moment = draw.uniform(0, seconds)
        if run_killed(command, moment):
            killed += 1
            print(f"killed after {moment:.1f} s; {len(hashes(features))} files", flush=True)
            continue
        # It came to its end before the kill: the next ones meet a run that begins anew.
        same &= hashes(features) == undisturbed
        ended += 1
        shutil.rmtree(features)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    same &= hashes(features) == undisturbed
    outcome = {
        "events": arguments.events,
        "workers": arguments.workers,
        "seconds": round(seconds, 2),
        "kills": killed,
        "times_it_ended": ended + 1,
        "files": len(undisturbed),
        "same_bytes": same,
    }
    print(json.dumps(outcome))
    sys.exit(not same)


if __name__ == "__main__":
    main()
