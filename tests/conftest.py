import os
import time
from pathlib import Path

import pytest
from hypothesis import settings

from features.kinds.item import AttributeCode
from features.log.item_columns import PRICE_BAND
from features.log.log import Log
from features.settings import FeatureSettings
from recsys.bundle.bundle import Bundle, load_bundle
from recsys.datasets.simulation.run import simulate
from recsys.datasets.simulation.world.settings import SimulationSettings
from recsys.training.data import TrainingData
from recsys.training.texts import Texts
from recsys.training.train import train
from recsys.workspace.config import CONFIG_NAME, write_config
from recsys.workspace.feature_sets import features_of
from recsys.workspace.workspace import Workspace
from tests.worlds import copy_folder, small_encoder, with_quick_training

_BERT = "bert"

# Moments are told in UTC wherever a machine stands.
os.environ["TZ"] = "Asia/Kolkata"
time.tzset()

# Nothing is timed in a test, and the first call of a compiled loop waits for its compilation.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random BERT of two layers and a tokenizer."""
    return small_encoder(tmp_path_factory.mktemp("encoder") / _BERT)


@pytest.fixture(scope="session")
def trained_workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A simulated shop with one trained bundle, of the real encoder; not to be changed."""
    root = tmp_path_factory.mktemp("shop") / "tiny"
    simulate(root, SimulationSettings.tiny())
    workspace = with_quick_training(Workspace.open(root))
    train(TrainingData.open(workspace))
    return workspace


@pytest.fixture(scope="session")
def coded_workspace(
    trained_workspace: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> Workspace:
    """The same shop with a bundle whose rankers read codes of attributes; not to be changed."""
    root = copy_folder(trained_workspace.root, tmp_path_factory.mktemp("shop") / "coded")
    features = features_of(trained_workspace.config)
    columns = (*features.features, AttributeCode("category"), AttributeCode(PRICE_BAND))
    settings = FeatureSettings(columns=columns)
    config = trained_workspace.config.model_copy(update={"features": settings})
    write_config(config, root / CONFIG_NAME)
    workspace = Workspace.open(root)
    train(TrainingData.open(workspace))
    return workspace


@pytest.fixture(scope="session")
def tiny_data(trained_workspace: Workspace) -> TrainingData:
    return TrainingData.open(trained_workspace)


@pytest.fixture(scope="session")
def tiny_log(tiny_data: TrainingData) -> Log:
    return tiny_data.log


@pytest.fixture(scope="session")
def tiny_texts(tiny_data: TrainingData) -> Texts:
    return tiny_data.texts


@pytest.fixture(scope="session")
def tiny_bundle_folder(trained_workspace: Workspace) -> Path:
    return trained_workspace.bundle()


@pytest.fixture(scope="session")
def tiny_bundle(tiny_bundle_folder: Path) -> Bundle:
    return load_bundle(tiny_bundle_folder)


@pytest.fixture
def tiny_workspace(trained_workspace: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the trained shop that a test may change."""
    return Workspace.open(copy_folder(trained_workspace.root, tmp_path / "tiny"))


@pytest.fixture
def changed_bundle(tiny_bundle: Bundle, tmp_path: Path) -> Path:
    """A copy of the bundle's version, under a name of its own, that a test may spoil."""
    return copy_folder(tiny_bundle.folder, tmp_path / "bundle")
