"""The text model by itself: kept for `recsys train`, by one worker or several."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from data_contracts.errors import DataError, UsageError
from recsys.bundle.bundle import ENCODER, TEXT_RECORD, load_bundle
from recsys.text.encoder.bert import TextEncoder
from recsys.text.training.curves import CURVE
from recsys.text.training.model import FORMAT, HEAD, TextRecord, load_text_model
from recsys.training.data import TrainingData
from recsys.training.encoder_job import EncoderTraining, train_and_tell
from recsys.training.text_model import TextRun, text_model, train_text_model
from recsys.training.train import train
from recsys.workspace.config import CONFIG_NAME, write_config
from recsys.workspace.workspace import Workspace
from tests.worlds import FailingTrack, InterruptionError, copy_folder, small_encoder

SEED = 1
"""Of a training of the whole encoder that finds something better than what it began with."""
QUICK = {
    # Fewer than the encoder has, as the default settings have.
    "dimensions": 8,
    "steps": 6,
    "check_every": 3,
    "batch_slates": 8,
    "positives": 2,
    "negatives": 4,
    "encoder_learning_rate": 3e-3,
    "layers": 1,
}


@pytest.fixture(scope="module")
def shop(trained_workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The tiny shop with an encoder that trains in a moment."""
    root = tmp_path_factory.mktemp("text") / "shop"
    copy_folder(trained_workspace.root, root)
    shutil.rmtree(root / "bundles")
    return with_text(Workspace.open(root), encoder=str(small_encoder(root / "bert")), **QUICK)


def with_text(workspace: Workspace, **changes: object) -> Workspace:
    text = workspace.config.text.model_copy(update=changes)
    config = workspace.config.model_copy(update={"text": text})
    write_config(config, workspace.root / CONFIG_NAME)
    return Workspace.open(workspace.root)


@pytest.fixture
def own(shop: Workspace, tmp_path: Path) -> Workspace:
    return Workspace.open(copy_folder(shop.root, tmp_path / "own"))


@pytest.fixture(scope="module")
def shop_data(shop: Workspace) -> TrainingData:
    return TrainingData.open(shop)


@pytest.fixture
def own_data(shop_data: TrainingData, own: Workspace) -> TrainingData:
    """The shop's data in a copy that a test may change."""
    return replace(shop_data, workspace=own)


def tell(workspace: Workspace, **asked: object) -> str:
    return "\n".join(train_and_tell(workspace.root, EncoderTraining.checked(asked)))


@pytest.mark.parametrize(("mode", "seed"), [("top_layers", 0), ("lora", 0), ("full", SEED)])
def test_a_tuned_encoder_goes_into_the_bundle_with_its_own_vectors(
    own: Workspace, shop_data: TrainingData, mode: str, seed: int
) -> None:
    said = tell(own, mode=mode, seed=seed)
    assert f"mode {mode}" in said
    assert "texts are longer than 64 tokens and were cut" in said
    saved = own.text_model(seed)
    assert {path.name for path in saved.iterdir()} == {HEAD, CURVE, "encoder"}
    assert {path.name for path in own.text_training(seed).iterdir()} >= {CURVE}
    track = FailingTrack(None, [])
    folder = train(TrainingData.open(own), seed=seed, track=track)
    assert "Fine-tuning the text model" not in track.seen
    bundle = load_bundle(folder)
    manifest, model = bundle.manifest, bundle.version.model
    assert manifest.text_mode == mode
    encoder = TextEncoder.load(model / ENCODER, max_tokens=own.config.text.max_tokens)
    base = shop_data.texts.encoder.fingerprint
    assert encoder.fingerprint == manifest.encoder_fingerprint != base
    record = TextRecord.model_validate_json((model / TEXT_RECORD).read_bytes())
    assert record.encoder == encoder.fingerprint
    assert record.base_encoder == base
    shown = shop_data.texts.items.head(20).to_list()
    table = bundle.signals.interest
    found = np.stack([table.project("item", vector) for vector in encoder.encode(shown)])
    np.testing.assert_allclose(found, table.items.base[:20], atol=1e-3)


def test_the_head_alone_leaves_the_encoder_as_it_is(own_data: TrainingData) -> None:
    kept = train_text_model(own_data, TextRun(seed=2, mode="head"))
    assert kept.encoder is own_data.texts.encoder
    assert not (own_data.workspace.text_model(2) / "encoder").exists()
    again = text_model(own_data, 2)
    for name, tensor in kept.model.state_dict().items():
        assert np.array_equal(tensor.numpy(), again.model.state_dict()[name].numpy()), name
    assert again.record == kept.record


def test_a_model_of_other_settings_or_tables_is_refused(
    own: Workspace, own_data: TrainingData
) -> None:
    train_text_model(own_data, TextRun(mode="head"))
    with pytest.raises(UsageError, match="trained on other tables or settings"):
        text_model(replace(own_data, workspace=with_text(own, learning_rate=0.5)), 0)
    other = with_text(own, encoder=str(small_encoder(own.root / "other", seed=1)))
    with pytest.raises(UsageError, match="a text model from encoder"):
        text_model(TrainingData.open(other), 0)


@pytest.mark.parametrize("spoil", [HEAD, "encoder/model.safetensors"])
def test_a_damaged_model_is_refused(own_data: TrainingData, spoil: str) -> None:
    train_text_model(own_data, TextRun(SEED, mode="full"))
    folder = own_data.workspace.text_model(SEED)
    (folder / spoil).unlink()
    with pytest.raises((DataError, UsageError)):
        load_text_model(folder, own_data.texts.encoder, 0.1)


def test_an_interrupted_training_is_gone_on_with_and_a_finished_one_not_done_again(
    own_data: TrainingData,
) -> None:
    whole = train_text_model(own_data, TextRun(mode="full", seed=5))
    kept = own_data.workspace.text_model(5)
    shutil.rmtree(kept)
    shutil.rmtree(own_data.workspace.text_training(5))

    class Stop(FailingTrack):
        def __call__(self, steps, label, total):  # type: ignore[no-untyped-def]
            for each in steps:
                if label == self.label and each == 5:
                    raise InterruptionError
                yield each

    run = TextRun(mode="full", seed=5, resume=True)
    with pytest.raises(InterruptionError):
        train_text_model(own_data, run, Stop("Fine-tuning the text model", []))
    assert not kept.exists()
    resumed = train_text_model(own_data, run)
    assert resumed.record == whole.record
    track = FailingTrack("Fine-tuning the text model", [])
    assert train_text_model(own_data, run, track).record == whole.record
    assert track.seen == []


# Ray's own: it sets options of its data library that it has deprecated itself, and leaves sockets
# to the collector.
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",
    "ignore::FutureWarning",
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)
@pytest.mark.slow
@pytest.mark.serve
@pytest.mark.parametrize("mode", ["head", "full"])
def test_two_workers_train_what_one_does(own: Workspace, mode: str) -> None:
    """The same slates, texts and sums; without dropout, which each worker draws for itself."""
    calm = with_text(own, dropout=0.0, encoder_dropout=0.0)
    tell(calm, mode=mode)
    folder = own.text_model(0)
    alone = load_file(folder / HEAD)
    points = TextRecord.model_validate(FORMAT.head(folder / HEAD)["record"]).curve
    shutil.rmtree(folder)
    assert "2 workers" in tell(calm, mode=mode, workers=2)
    both = load_file(folder / HEAD)
    # The same for every past item, so that only rounding moves it.
    alone.pop("attend.2.bias")
    for name, weights in alone.items():
        np.testing.assert_allclose(both[name], weights, atol=2e-4, err_msg=name)
    shared = TextRecord.model_validate(FORMAT.head(folder / HEAD)["record"]).curve
    assert [point.step for point in points] == [point.step for point in shared]
    # Later ones are not compared: titles of the same words tie, and a tie falls by the last bit.
    assert points[0].validation_ndcg_at_10 == shared[0].validation_ndcg_at_10
    losses = [[point.loss for point in curve[1:]] for curve in (points, shared)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"mode": "everything"}, "--mode everything"),
        ({"precision": "fp8"}, "--precision fp8"),
    ],
)
def test_what_does_not_exist_cannot_be_asked_for(asked: dict[str, object], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        EncoderTraining.checked(asked)
