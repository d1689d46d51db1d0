import json
from pathlib import Path

import pytest

from tests.test_imports import run_python

# What trains, draws or explains, and what opens the training log.
NEVER = {"captum", "matplotlib", "onnx", "peft", "torch", "transformers"}
TRAINING = (
    "features.log.log",
    "features.log.prepare",
    "features.log.tables",
    "recsys.text.training",
    "recsys.training",
)
NEEDED = (
    "features.online.executor",
    "recsys.bundle.bundle",
    "recsys.rank",
    "serving.api",
    "serving.app",
    "serving.ranking.loading",
    "serving.ranking.service",
)

IMPORT = """
import importlib, json, sys

for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
print(json.dumps(list(sys.modules)))
"""

RANK = """
import json, sys
from datetime import UTC, datetime
from pathlib import Path
from data_contracts.slates import Slate
from serving.ranking.loading import load_model
from serving.settings import ServiceSettings

model = load_model(ServiceSettings(bundle=Path(sys.argv[1])))
items = model.sample_items(5)
slate = Slate("r", items, datetime.now(UTC), model.sample_users(1)[0], texts=[None] * len(items))
model.rank(slate, {}, rung="full", explain=5)
model.summary()
print(json.dumps(list(sys.modules)))
"""


def unwanted(modules: list[str]) -> set[str]:
    packages = {name.partition(".")[0] for name in modules}
    return packages & NEVER | {name for name in modules if name.startswith(TRAINING)}


@pytest.mark.parametrize("name", ["torch", "recsys.training.rows", "features.log.prepare"])
def test_a_module_that_serving_must_not_load_is_found(name: str) -> None:
    assert unwanted(["numpy", name, "recsys.rank"]) == {name}


def test_a_ranking_replica_imports_neither_training_nor_torch(tmp_path: Path) -> None:
    done = run_python(tmp_path, IMPORT, json.dumps(NEEDED))
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout)
    assert set(NEEDED) <= set(loaded)
    assert unwanted(loaded) == set()


def test_a_bundle_is_loaded_and_ranks_without_training_and_torch(
    tiny_bundle_folder: Path, tmp_path: Path
) -> None:
    done = run_python(tmp_path, RANK, str(tiny_bundle_folder.resolve()))
    assert done.returncode == 0, done.stderr
    assert unwanted(json.loads(done.stdout)) == set()
