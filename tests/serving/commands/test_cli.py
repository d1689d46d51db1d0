import os
import re
from pathlib import Path

import pytest
from typer.main import get_group
from typer.testing import CliRunner

from data_contracts.errors import UsageError
from serving.commands.cli import app
from serving.settings import ServiceSettings

GROUPS = {
    "Data": {"simulate", "contracts", "validate", "import"},
    "Train": {"backfill", "features", "encoder", "train"},
    "Judge": {"evaluate", "explain"},
    "Serve": {"serve", "demo"},
}


def test_help_has_each_command_in_its_group() -> None:
    found: dict[str, set[str]] = {}
    for name, command in get_group(app).commands.items():
        found.setdefault(getattr(command, "rich_help_panel", ""), set()).add(name)
    assert list(found) == list(GROUPS)
    assert found == GROUPS


# A value other than the default for every setting.
VALUES = {
    "host": "127.0.0.2",
    "port": 8123,
    "ray_address": "head:10001",
    "haproxy": False,
    "metrics_port": 9123,
    "log_to_console": False,
    "served_features": Path("served"),
    "served_features_share": 0.25,
    "startup_timeout_s": 12.5,
    "max_candidates": 7,
    "max_explained": 5,
    "body_timeout_s": 2.5,
    "max_body_bytes": 2048,
    "max_in_flight": 3,
    "encoder_timeout_ms": 77.0,
    "answer_reserve_ms": 1.5,
    "ranking_replicas": 2,
    "ranking_cpus": 0.25,
    "encoder_replicas": 3,
    "encoder_cpus": 0.75,
    "encoder_gpus": 1.0,
    "encoder_device": "cuda",
    "encoder_threads": 5,
    "encoder_batch_tokens": 1024,
    "encoder_batch_wait_ms": 4.0,
}
DOCUMENTS = [Path("README.md"), *Path("docs").rglob("*.md"), *Path("serving").rglob("*.py")]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[ServiceSettings]:
    """Settings that `recsys serve` would have served with."""
    found: list[ServiceSettings] = []
    monkeypatch.setattr(
        "serving.runtime.run.serve_bundle", lambda settings, **_: found.append(settings)
    )
    for name in os.environ:
        if name.startswith("RECSYS_"):
            monkeypatch.delenv(name)
    return found


def serve(*options: str) -> None:
    CliRunner().invoke(app, ["serve", "bundle", *options], catch_exceptions=False)


def test_every_setting_of_the_service_can_be_given_in_the_environment(
    started: list[ServiceSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {"bundle", *VALUES} == set(ServiceSettings.model_fields)
    for name, value in VALUES.items():
        assert value != ServiceSettings.model_fields[name].default
        monkeypatch.setenv(f"RECSYS_{name.upper()}", str(value))
    serve()
    assert started[0].model_dump() == {"bundle": Path("bundle").absolute(), **VALUES}
    serve("--port", "8124")
    assert started[1].port == 8124


def test_without_options_or_environment_the_defaults_hold(started: list[ServiceSettings]) -> None:
    serve()
    assert started == [ServiceSettings(bundle=Path("bundle").absolute())]


def test_every_variable_that_a_text_or_message_names_is_a_setting() -> None:
    named = {
        name
        for path in DOCUMENTS
        for name in re.findall(r"RECSYS_([A-Z][A-Z_]*[A-Z])", path.read_text(encoding="utf-8"))
    }
    assert named
    assert {name.lower() for name in named} <= set(ServiceSettings.model_fields)


@pytest.mark.parametrize(
    ("name", "value"), [("RECSYS_PORT", "tcp://10.0.0.1:80"), ("RECSYS_MAX_CANDIDATES", "0")]
)
def test_a_value_that_is_none_is_told_with_its_variable(
    name: str, value: str, started: list[ServiceSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError) as refused:
        serve()
    assert name in refused.value.action
    assert value in refused.value.found
    assert not started
