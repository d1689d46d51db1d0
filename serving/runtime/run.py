"""Starts the service on Ray, waits until it is ready, and takes it down."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from types import FrameType

import httpx

from data_contracts.errors import UsageError
from features.backfill.cluster import join_cluster
from serving.api import READY
from serving.runtime.haproxy import (
    end_orphans,
    haproxy_environment,
    haproxy_folder,
    require_haproxy,
)
from serving.settings import ServiceSettings

APPLICATION = "ranking"
OBJECT_STORE_BYTES = 128 * 2**20
POLL_S = 0.1


@dataclass
class RunningService(AbstractContextManager["RunningService"]):
    """A service that answers; leaving its context, or `stop`, takes it down.

    Attributes:
        url: Where it answers.
    """

    url: str
    _stop: ExitStack

    def stop(self) -> None:
        """Take the service down; a second call does nothing."""
        self._stop.close()

    def __exit__(self, *_: object) -> None:
        self.stop()


def serve_bundle(
    settings: ServiceSettings,
    *,
    blocking: bool,
    build: Callable[[ServiceSettings], object] | None = None,
    announce: Callable[[str], None] | None = None,
) -> RunningService:
    """Serve a bundle over HTTP.

    Starts a local Ray, or joins the cluster at `ray_address`, whose operator then chooses the
    ingress. Returns once the service is warm. A `UsageError` says that the port is taken, that
    HAProxy cannot run, or that the service did not become ready; a `BundleError` what is wrong with
    the bundle.

    Args:
        settings: Bundle and addresses.
        blocking: Whether to stay until SIGINT or SIGTERM and take the service down then.
        build: Makes the Serve application; `serving.app.build_app` when absent.
        announce: Called with the address once the service is ready.

    Returns:
        The service; already taken down when `blocking`.
    """
    url = f"http://{settings.host}:{settings.port}"
    if settings.ray_address is None:
        end_orphans()
        _require_free_port(settings.host, settings.port)
        if settings.haproxy:
            require_haproxy()
    with ExitStack() as on_failure:
        if build is None:
            settings = of_one_version(settings)
        _join_ray(settings, on_failure)
        _run_application(settings, build, on_failure)
        _wait_until_ready(url, settings.startup_timeout_s)
        running = RunningService(url, on_failure.pop_all())
    with running if blocking else ExitStack():
        if announce is not None:
            announce(url)
        if blocking:
            _wait_for_signal()
    return running


def _require_free_port(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # As servers do: connections of an earlier service that linger do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UsageError(
                f"cannot listen on {host}:{port} ({error.strerror})",
                "an address of this machine and a port that is free",
                "stop what listens there, or choose another with --port or RECSYS_PORT",
            ) from error


def of_one_version(settings: ServiceSettings) -> ServiceSettings:
    """Name the version instead of the bundle, so that replicas that start later load the same.

    Without a cluster the version is loaded once here: its errors reach the caller as they are. On a
    cluster it may lie where only the replicas see it.
    """
    from recsys.bundle.versions import open_version  # noqa: PLC0415 - after the cheaper checks
    from serving.ranking.loading import load_model  # noqa: PLC0415

    path = settings.bundle.absolute()
    if settings.ray_address is not None and not path.exists():
        return settings
    settings = settings.model_copy(update={"bundle": open_version(path).folder})
    if settings.ray_address is None:
        load_model(settings)
    return settings


def innermost_message(text: str) -> str:
    """Give what the last error says in a text of nested tracebacks."""
    return text.rsplit("Error: ", 1)[-1].strip()


@contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _join_ray(settings: ServiceSettings, cleanup: ExitStack) -> None:
    logs = settings.log_to_console
    if settings.ray_address is not None:
        cleanup.enter_context(join_cluster(settings.ray_address, show_logs=logs))
        return
    # Ranking takes a few milliseconds and the encoder has threads of its own, so that handlers may
    # run in the replica's own loop: in a thread of Serve's, each message of a request costs a hop.
    changes = {"RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0"}
    if settings.haproxy:
        folder = cleanup.enter_context(haproxy_folder())
        changes |= haproxy_environment(folder, settings.body_timeout_s)
    local = {
        "object_store_memory": OBJECT_STORE_BYTES,
        "_node_ip_address": "127.0.0.1",
        "_metrics_export_port": settings.metrics_port,
    }
    # The processes of a local Ray take over the environment of the process that starts them.
    with _environment(changes):
        cleanup.enter_context(join_cluster("local", show_logs=logs, local=local))


def _run_application(
    settings: ServiceSettings,
    build: Callable[[ServiceSettings], object] | None,
    cleanup: ExitStack,
) -> None:
    from ray import serve  # noqa: PLC0415

    from serving.app import build_app  # noqa: PLC0415

    application = (build or build_app)(settings)
    assert isinstance(application, serve.Application)
    # A local Ray then ends as a whole; on a cluster others may be served by the same controller.
    cleanup.callback(serve.delete, APPLICATION)
    try:
        serve.start(http_options={"host": settings.host, "port": settings.port})
        serve.run(application, name=APPLICATION, route_prefix="/")
    except RuntimeError as error:
        application_status = serve.status().applications.get(APPLICATION)
        deployments = application_status.deployments.values() if application_status else ()
        told = [deployment.message for deployment in deployments if deployment.message]
        raise UsageError(
            f"the service did not start: {innermost_message((told or [str(error)])[0])}",
            "replicas that load the bundle and come up",
            "see the message; Ray's own logs are under its session folder",
        ) from error


def _wait_until_ready(url: str, timeout_s: float) -> None:
    end = time.monotonic() + timeout_s
    last = "no answer"
    with httpx.Client(timeout=5) as client:
        while time.monotonic() < end:
            try:
                response = client.get(url + READY)
            except httpx.TransportError as error:
                last = str(error)
            else:
                if response.status_code == httpx.codes.OK:
                    return
                last = f"status {response.status_code}"
            time.sleep(POLL_S)
    raise UsageError(
        f"{url}{READY} not ready after {timeout_s:g} s ({last})",
        "a service that is ready by then",
        "see the replicas' logs, allow more with RECSYS_STARTUP_TIMEOUT_S, "
        "or take HAProxy out with RECSYS_HAPROXY=false",
    )


def _wait_for_signal() -> None:
    asked = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        while not asked.wait(1):
            pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
