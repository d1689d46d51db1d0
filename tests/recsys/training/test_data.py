"""What a training run opens."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys.training import data as data_module
from recsys.training import texts, train
from recsys.training.data import TrainingData
from recsys.workspace import backfill, workspace
from recsys.workspace.workspace import Workspace


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count what is opened: settings, log, item texts, queries, encoder weights."""
    counts: Counter[str] = Counter()

    def counted(name: str, function: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            counts[name] += 1
            return function(*arguments, **options)

        return call

    for module, name in (
        (workspace, "read_config"),
        (backfill, "open_log"),
        (texts, "read_item_texts"),
        (texts, "query_texts"),
        (texts, "load_weights"),
        (data_module, "encode_texts"),
    ):
        monkeypatch.setattr(module, name, counted(name, getattr(module, name)))
    return counts


def test_a_training_of_two_seeds_opens_everything_once(
    tiny_workspace: Workspace, opened: Counter[str]
) -> None:
    data = TrainingData.open(Workspace.open(tiny_workspace.root))
    folders: list[Path] = [train.train(data, seed=seed) for seed in range(2)]
    assert [folder.parents[1].name for folder in folders] == ["current", "seed-1"]
    assert set(opened.values()) == {1}
    assert len(opened) == 6
