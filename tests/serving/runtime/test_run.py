import os
import socket
from pathlib import Path

import pytest
from pydantic import ValidationError

from data_contracts.errors import UsageError
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
