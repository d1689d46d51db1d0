import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from serving.runtime.haproxy import end_orphans, haproxy_environment, haproxy_folder

Start = Callable[[Path], "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts what looks like an HAProxy with its configuration in a folder."""
    program = tmp_path / "haproxy"
    program.write_text("#!/bin/sh\nwhile read line; do :; done\n")
    program.chmod(0o755)
    started: list[subprocess.Popen[bytes]] = []

    def begin(folder: Path) -> "subprocess.Popen[bytes]":
        command = [str(program), "-f", str(folder / "haproxy.cfg")]
        process = subprocess.Popen(command, stdin=subprocess.PIPE)
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def free_pid() -> int:
    return next(pid for pid in range(2**22 - 1, 1, -1) if not psutil.pid_exists(pid))


def test_two_services_on_one_machine_share_no_port_and_no_file(tmp_path: Path) -> None:
    first = haproxy_environment(tmp_path / "first", 10)
    second = haproxy_environment(tmp_path / "second", 10)
    own = {name for name in first if name.endswith(("_PORT", "_PATH", "_LOC", "_BASE", "_FILE"))}
    assert len(own) >= 8
    assert all(first[name] != second[name] for name in own)


def test_an_haproxy_ends_with_the_folder_of_its_configuration(start: Start, tmp_path: Path) -> None:
    other = start(tmp_path / "other")
    with haproxy_folder() as folder:
        own = start(folder)
        assert own.poll() is None
    assert not psutil.pid_exists(own.pid)
    assert other.poll() is None
    assert not folder.exists()


def test_one_whose_service_was_killed_is_ended_and_no_other(start: Start) -> None:
    orphan = start(Path(f"/tmp/recsys-{free_pid()}-gone"))
    with haproxy_folder() as folder:
        served = start(folder)
        end_orphans()
        assert not psutil.pid_exists(orphan.pid)
        assert served.poll() is None
