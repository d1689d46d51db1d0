"""Joining a cluster, against a stand-in for Ray that notes how it is called."""

import sys
from collections.abc import Mapping
from types import SimpleNamespace

import pytest

from data_contracts.errors import UsageError
from features.backfill.cluster import join_cluster


class Ray(SimpleNamespace):
    def __init__(self, *, joined: bool = False) -> None:
        super().__init__(calls=[], joined=joined)

    def is_initialized(self) -> bool:
        return bool(self.joined)

    def init(self, address: str, **options: object) -> None:
        self.calls.append((address, options))
        self.joined = True

    def shutdown(self) -> None:
        self.calls.append("shutdown")
        self.joined = False


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Ray:
    stand_in = Ray()
    monkeypatch.setitem(sys.modules, "ray", stand_in)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return stand_in


@pytest.mark.parametrize(
    ("given", "variable", "joined"),
    [
        (None, None, "local"),
        (None, "head:6379", "head:6379"),
        ("other:6379", "head:6379", "other:6379"),
        ("local", "head:6379", "local"),
    ],
)
def test_the_argument_goes_before_the_variable_and_both_before_a_local_ray(
    given: str | None,
    variable: str | None,
    joined: str,
    ray: Ray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if variable is not None:
        monkeypatch.setenv("RAY_ADDRESS", variable)
    local: Mapping[str, object] = {"num_cpus": 3}
    with join_cluster(given, local=local) as connected:
        assert connected is ray
        assert ray.joined
    (address, options), end = ray.calls
    assert (address, end) == (joined, "shutdown")
    assert options["log_to_driver"] is False
    assert options.get("num_cpus") == (3 if joined == "local" else None)


def test_a_ray_that_was_joined_before_is_used_and_kept(ray: Ray) -> None:
    ray.joined = True
    with join_cluster("head:6379"):
        pass
    assert ray.calls == []
    assert ray.joined


def test_a_ray_that_was_joined_here_is_left_after_an_error_too(ray: Ray) -> None:
    with pytest.raises(KeyError), join_cluster():
        raise KeyError
    assert ray.calls[-1] == "shutdown"


def test_without_ray_the_way_to_install_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match="pip install"), join_cluster():
        pass
