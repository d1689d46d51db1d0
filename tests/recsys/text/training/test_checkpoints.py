"""What is promised of a training beside its quality: it can be stopped, watched, and repeated."""

import importlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pytest
import torch

from data_contracts.errors import DataError, UsageError
from recsys.text.encoder.bert import TextEncoder
from recsys.text.head import InterestModel
from recsys.text.settings import TextSettings
from recsys.text.training.checkpoints import CHECKPOINT, FORMAT, load_checkpoint
from recsys.text.training.curves import CURVE, TENSORBOARD
from recsys.text.training.determinism import learning_rate_factor
from recsys.text.training.loop import Run, TextTraining, finetune
from recsys.text.training.loss import DrawTexts, batch_of, slate_loss
from recsys.text.training.modes.build import encoder_source
from recsys.text.training.modes.encoder_source import EncoderSource
from recsys.text.training.modes.token_table import TokenTable
from recsys.text.training.sampling import Sampler
from recsys.text.training.text_source import FrozenSource, TextSource
from tests.recsys.text.encoders_made import chinese_bert
from tests.worlds import InterruptionError, Taste, planted_taste

T = TypeVar("T")
MODES = ("head", "top_layers", "lora", "full")
SETTINGS = TextSettings(
    steps=12,
    check_every=4,
    batch_slates=8,
    positives=2,
    negatives=3,
    learning_rate=1e-2,
    encoder_learning_rate=1e-2,
    layers=2,
)


@dataclass(frozen=True)
class StopAt:
    """Stops a training before a step, as a kill would."""

    step: int

    def __call__(self, steps: Iterable[T], label: str, total: int) -> Iterable[T]:
        for each in steps:
            if label == "Fine-tuning the text model" and each == self.step:
                raise InterruptionError
            yield each


@pytest.fixture(scope="module")
def taste() -> Taste:
    return planted_taste(120)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    texts = [f"word{n}" for n in range(40)]
    return TextEncoder.load(chinese_bert(tmp_path_factory.mktemp("bert"), texts), max_tokens=8)


def train(
    mode: str,
    taste: Taste,
    encoder: TextEncoder,
    cache: Path,
    run: Run,
    stop: int = 0,
    settings: TextSettings = SETTINGS,
) -> tuple[TextTraining, TextSource]:
    source: TextSource = FrozenSource(taste.vectors)
    if mode != "head":
        items = [f"word{n % 40} word{n % 37} word{n % 7}" for n in range(300)]
        chosen = settings.model_copy(update={"mode": mode})
        source = encoder_source(chosen, encoder, TokenTable.of(items, [], encoder), run.seed, cache)
    return finetune(taste.slates, source, (0, 1), 1, settings, run, StopAt(stop)), source


def weights(training: TextTraining, source: TextSource) -> dict[str, torch.Tensor]:
    found = dict(training.model.state_dict())
    return found | {f"encoder.{name}": each.detach() for name, each in source.trainable.items()}


def assert_same(
    one: tuple[TextTraining, TextSource], other: tuple[TextTraining, TextSource]
) -> None:
    assert one[0].curve == other[0].curve
    first, second = weights(*one), weights(*other)
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


@pytest.mark.parametrize("mode", MODES)
def test_a_training_that_was_killed_ends_as_one_that_was_not(
    mode: str, taste: Taste, encoder: TextEncoder, tmp_path: Path
) -> None:
    undisturbed = train(mode, taste, encoder, tmp_path, Run(3, tmp_path / "one"))
    run = Run(3, tmp_path / "other", resume=True)
    for stop in (3, 7, 11):
        torch.manual_seed(stop)
        with pytest.raises(InterruptionError):
            train(mode, taste, encoder, tmp_path, run, stop)
    found = load_checkpoint(tmp_path / "other", checkpoint_run(tmp_path / "other"))
    assert found is not None
    assert found.progress.step == 8
    assert_same(train(mode, taste, encoder, tmp_path, run), undisturbed)
    lines = [(tmp_path / name / CURVE).read_bytes() for name in ("one", "other")]
    assert lines[0] == lines[1]


def checkpoint_run(folder: Path) -> str:
    return str(FORMAT.head(folder / CHECKPOINT)["progress"]["run"])


@pytest.mark.parametrize("mode", MODES)
def test_the_seed_decides_everything(
    mode: str, taste: Taste, encoder: TextEncoder, tmp_path: Path
) -> None:
    one, same = (train(mode, taste, encoder, tmp_path, Run(1)) for _ in range(2))
    assert_same(one, same)
    other = train(mode, taste, encoder, tmp_path, Run(2))
    assert one[0].curve != other[0].curve
    if mode != "head":
        assert isinstance(one[1], EncoderSource)
        assert isinstance(same[1], EncoderSource)
        assert one[1].tuned().fingerprint == same[1].tuned().fingerprint


def test_accumulated_draws_make_the_step_of_their_mean_loss(
    taste: Taste, encoder: TextEncoder, tmp_path: Path
) -> None:
    calm = {"dropout": 0.0, "steps": 1, "accumulation": 2, "batch_slates": 8}
    settings = SETTINGS.model_copy(update=calm)
    training, _ = train("head", taste, encoder, tmp_path, Run(1, tmp_path), settings=settings)
    found = load_checkpoint(tmp_path, checkpoint_run(tmp_path))
    assert found is not None

    source = FrozenSource(taste.vectors)
    sampler = Sampler(taste.slates.cut(0, 108), (0, 1), settings, 1)
    torch.manual_seed(1)
    model = InterestModel(source.dim, 1, 0)
    losses = []
    for number in range(2):
        draw = sampler.draw(number)
        where = DrawTexts.of(draw, source.item_text, source.query_text)
        batch = batch_of(draw, where, source.vectors(where.texts, training=True))
        losses.append(slate_loss(model, batch, settings))
    loss = (losses[0] + losses[1]) / 2
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_norm)
    rate = settings.learning_rate * learning_rate_factor(1, settings)
    torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=settings.weight_decay).step()
    assert training.curve[1].loss == pytest.approx(loss.item())
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(found.weights[f"head.{name}"], tensor, atol=1e-4, rtol=1e-4)


def test_the_curve_is_written_as_json_lines_and_for_tensorboard(
    taste: Taste, encoder: TextEncoder, tmp_path: Path
) -> None:
    training, _ = train("head", taste, encoder, tmp_path, Run(0, tmp_path))
    lines = [json.loads(line) for line in (tmp_path / CURVE).read_text().splitlines()]
    assert lines == [point.model_dump() for point in training.curve]
    assert [line["step"] for line in lines] == [0, 4, 8, 12]
    assert lines[0]["loss"] is None
    assert all(line["loss"] > 0 for line in lines[1:])
    pytest.importorskip("tensorboard")
    accumulator = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(tmp_path / TENSORBOARD))
    events.Reload()
    shown = events.Scalars("validation_ndcg_at_10")
    assert [event.step for event in shown] == [0, 4, 8, 12]
    assert [event.value for event in shown] == pytest.approx(
        [line["validation_ndcg_at_10"] for line in lines]
    )


def test_without_a_folder_nothing_is_written(
    taste: Taste, encoder: TextEncoder, tmp_path: Path
) -> None:
    train("head", taste, encoder, tmp_path, Run())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": 4},
        {"inputs": "another encoder"},
    ],
)
def test_a_checkpoint_of_another_run_is_refused(
    taste: Taste, encoder: TextEncoder, tmp_path: Path, changed: dict[str, object]
) -> None:
    run = Run(3, tmp_path, resume=True)
    with pytest.raises(InterruptionError):
        train("head", taste, encoder, tmp_path, run, 6)
    with pytest.raises(UsageError, match="without --resume"):
        train("head", taste, encoder, tmp_path, replace(run, **changed))  # type: ignore[arg-type]
    slower = SETTINGS.model_copy(update={"learning_rate": 1e-3})
    with pytest.raises(UsageError, match="without --resume"):
        train("head", taste, encoder, tmp_path, run, settings=slower)
    graded = replace(taste, slates=replace(taste.slates, grade=1 - taste.slates.grade))
    with pytest.raises(UsageError, match="without --resume"):
        train("head", graded, encoder, tmp_path, run)


def test_a_damaged_checkpoint_is_refused(
    taste: Taste, encoder: TextEncoder, tmp_path: Path
) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"no safetensors")
    with pytest.raises(DataError, match="delete it"):
        train("head", taste, encoder, tmp_path, Run(3, tmp_path, resume=True))


def test_training_ends_early_when_validation_gains_no_more(
    taste: Taste, encoder: TextEncoder, tmp_path: Path
) -> None:
    hopeless = {"learning_rate": 1e-12, "patience": 2, "check_every": 1, "steps": 50}
    settings = SETTINGS.model_copy(update=hopeless)
    training, _ = train("head", taste, encoder, tmp_path, Run(), settings=settings)
    assert [point.step for point in training.curve] == [0, 1, 2]


def test_the_rate_warms_up_to_its_peak_and_falls_to_almost_nothing() -> None:
    settings = TextSettings(steps=100, warm_up=0.1)
    rates = [learning_rate_factor(step, settings) for step in range(1, 101)]
    assert rates.index(max(rates)) == 9
    assert max(rates) == 1
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.01
    assert all(0 < learning_rate_factor(1, TextSettings(steps=steps)) <= 1 for steps in (1, 2, 9))
