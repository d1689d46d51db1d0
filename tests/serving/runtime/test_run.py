import os
import socket
from pathlib import Path

import pytest
from pydantic import ValidationError

from data_contracts.errors import UsageError
from recsys.bundle.bundle import Bundle
from recsys.training.data import TrainingData
from recsys.training.train import train
from recsys.workspace.config import CONFIG_NAME, write_config
from recsys.workspace.workspace import Workspace
from serving.ranking.loading import load_encoder, load_model
from serving.runtime import run
from serving.runtime.haproxy import free_ports
from serving.runtime.run import innermost_message, serve_bundle
from serving.settings import ServiceSettings
from tests.serving.doubles import settings_for


def test_a_port_in_use_is_told_before_anything_starts() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"127.0.0.1:{port}") as error:
            serve_bundle(settings_for(port), blocking=False)
    assert "--port" in error.value.action


def test_a_training_beside_a_service_changes_nothing_that_its_replicas_load(
    tiny_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, given = tiny_workspace.bundle(), []
    monkeypatch.setattr(run, "_join_ray", lambda *_: None)
    monkeypatch.setattr(run, "_wait_until_ready", lambda *_: None)
    monkeypatch.setattr(run, "_run_application", lambda settings, *_: given.append(settings))
    (port,) = free_ports(1)
    settings = settings_for(port, bundle=bundle, haproxy=False)
    with serve_bundle(settings, blocking=False):
        first = load_model(given[0])
        text = tiny_workspace.config.text.model_copy(update={"steps": 1})
        changed = tiny_workspace.config.model_copy(update={"text": text})
        write_config(changed, tiny_workspace.root / CONFIG_NAME)
        train(TrainingData.open(Workspace.open(tiny_workspace.root)))
        restarted, encoder = load_model(given[0]), load_encoder(given[0])
    later = load_model(settings)
    assert first.fingerprint == restarted.fingerprint == encoder.fingerprint != later.fingerprint
    assert first.version == restarted.version < later.version


@pytest.mark.parametrize("there", [True, False])
def test_a_bundle_that_only_a_cluster_sees_is_named_as_it_is(
    tiny_bundle: Bundle, tiny_bundle_folder: Path, tmp_path: Path, there: bool
) -> None:
    path = tiny_bundle_folder if there else tmp_path / "elsewhere"
    settings = settings_for(bundle=path, ray_address="ray://cluster")
    found = run.of_one_version(settings).bundle
    assert found == (tiny_bundle.folder if there else path)


def test_of_nested_tracebacks_the_innermost_message_is_told() -> None:
    text = "RuntimeError: Traceback\n  File x\nmy.errors.BundleError: found: a; expected: b\n"
    assert innermost_message(text) == "found: a; expected: b"
    assert innermost_message("no traceback at all") == "no traceback at all"


def test_settings_come_from_arguments_first_and_the_environment_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RECSYS_BUNDLE", "from-environment")
    monkeypatch.setenv("RECSYS_PORT", "8123")
    monkeypatch.setenv("RECSYS_MAX_CANDIDATES", "7")
    settings = ServiceSettings(port=8124)
    assert settings.bundle == Path("from-environment")
    assert (settings.port, settings.max_candidates) == (8124, 7)
    assert settings.host == "127.0.0.1"


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in ServiceSettings.model_fields.values())
    with pytest.raises(ValidationError, match="prot"):
        ServiceSettings.model_validate({"bundle": "b", "prot": 8000})


@pytest.mark.serve
def test_the_environment_is_as_it_was_once_the_service_runs(served: object) -> None:
    assert not [name for name in os.environ if name.startswith("RAY_SERVE_HAPROXY")]
