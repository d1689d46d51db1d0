import json

import pytest

from benchmarks.text import gain
from benchmarks.text.gain import COLD_AUC, COLD_GAIN, Target, gain_of, report, tuning_of
from recsys.evaluation.evaluate import NEW_TO_USER
from recsys.evaluation.result import ALL
from recsys.metrics.intervals import Estimate
from recsys.workspace.workspace import Workspace


def estimate(mean: float, low: float, high: float) -> Estimate:
    return Estimate(mean=mean, low=low, high=high, n_requests=10, n_clusters=5)


def test_a_target_is_a_least_mean_or_an_interval_above_nothing() -> None:
    found = estimate(0.02, -0.01, 0.05)
    assert Target(0.02).reached(found)
    assert not Target(0.021).reached(found)
    assert not Target(beyond_the_interval=True).reached(found)
    assert Target(beyond_the_interval=True).reached(estimate(0.02, 0.001, 0.05))


def test_every_figure_is_told_and_held_to_the_targets_of_its_data(
    tiny_workspace: Workspace,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    targets = {name: Target(-1.0) for name in (gain_of(ALL), tuning_of(NEW_TO_USER), COLD_GAIN)}
    targets[COLD_AUC] = Target(1.1)
    monkeypatch.setitem(gain.TARGETS, tiny_workspace.config.name, targets)
    report(tiny_workspace, 1, frozen=True, cold=True)
    first = capsys.readouterr().out.splitlines()
    told = json.loads(first[-1])
    assert {name: each["reached"] for name, each in told["targets"].items()} == {
        name: name != COLD_AUC for name in targets
    }
    assert all(low <= mean <= high for mean, low, high in told["figures"].values())
    assert any(row.startswith(f"| {COLD_AUC} | .") and row.endswith("| no |") for row in first)
    monkeypatch.setattr(gain, "evaluate_cold", None)
    report(tiny_workspace, 1, frozen=False, cold=True)
    again = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert again["figures"][COLD_AUC] == told["figures"][COLD_AUC]
    assert tuning_of(ALL) not in again["figures"]
