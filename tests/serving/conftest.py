from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from ray import serve

from serving.app import build_app
from serving.runtime.haproxy import free_ports
from serving.runtime.run import serve_bundle
from serving.settings import ServiceSettings
from tests.serving import doubles

MAX_IN_FLIGHT = 16
BODY_TIMEOUT_S = 3
DOUBLES, BUNDLE = "doubles", "bundle"


@dataclass(frozen=True)
class Served:
    """A service that runs for the whole session.

    Attributes:
        url: Where it answers.
        known: Items its catalogue knows, at least 100.
        settings: How it was started.
    """

    url: str
    known: Sequence[str]
    settings: ServiceSettings


@pytest.fixture(scope="session", params=[DOUBLES, BUNDLE])
def bundle_folder(request: pytest.FixtureRequest) -> Path | None:
    """The bundle to serve; with None the doubles stand in for it."""
    if request.param == DOUBLES:
        return None
    folder: Path = request.getfixturevalue("tiny_bundle_folder")
    return folder


@pytest.fixture(scope="session")
def free_port() -> int:
    (port,) = free_ports(1)
    return port


@pytest.fixture(scope="session")
def served(bundle_folder: Path | None, free_port: int) -> Iterator[Served]:
    settings = doubles.settings_for(
        free_port, max_in_flight=MAX_IN_FLIGHT, body_timeout_s=BODY_TIMEOUT_S
    )
    if bundle_folder is None:
        known: Sequence[str] = doubles.KNOWN
        build = _build_with_doubles
    else:
        from serving.ranking.loading import load_model  # noqa: PLC0415

        settings = settings.model_copy(update={"bundle": bundle_folder})
        known = load_model(settings).sample_items(500)
        build = build_app
    with serve_bundle(settings, blocking=False, build=build) as running:
        yield Served(running.url, known, settings)


def _build_with_doubles(settings: ServiceSettings) -> serve.Application:
    return build_app(settings, doubles.load_model, doubles.load_encoder)
