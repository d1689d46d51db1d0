"""What a command costs: time, and memory of all of its processes together."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import psutil

_EVERY_S = 0.1


@dataclass(frozen=True)
class Cost:
    """What a command cost.

    Attributes:
        seconds: Time on the clock.
        cpu_seconds: Of all processes, as far as they were seen.
        peak_bytes: Most memory of all processes at one moment, shared pages counted once
            (proportional set size), looked at ten times a second.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int


def measure(command: Sequence[str], log: Path) -> Cost:
    """Run a command to its end and tell its cost.

    Args:
        command: Program and arguments.
        log: File for what the command prints.

    Returns:
        Its cost.

    Raises:
        RuntimeError: The command failed.
    """
    started = perf_counter()
    peak, cpu = 0, dict[int, float]()
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        root = psutil.Process(process.pid)
        while True:
            peak = max(peak, _memory(root, cpu))
            try:
                process.wait(_EVERY_S)
                break
            except subprocess.TimeoutExpired:
                continue
    seconds = perf_counter() - started
    if process.returncode:
        message = f"{' '.join(command)} ended with {process.returncode}; see {log}"
        raise RuntimeError(message)
    return Cost(seconds, sum(cpu.values()), peak)


def _memory(root: psutil.Process, cpu: dict[int, float]) -> int:
    """Add up the memory of a process and its descendants; note the processor time of each."""
    total = 0
    try:
        family = [root, *root.children(recursive=True)]
    except psutil.Error:
        return 0
    for process in family:
        try:
            total += process.memory_full_info().pss
            times = process.cpu_times()
        except psutil.Error:
            continue
        cpu[process.pid] = times.user + times.system
    return total
