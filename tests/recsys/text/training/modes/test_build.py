from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from data_contracts.errors import UsageError
from recsys.text.encoder.bert import TextEncoder
from recsys.text.settings import TextSettings
from recsys.text.training.modes.build import encoder_source
from recsys.text.training.modes.encoder_source import EncoderSource, require_precision
from recsys.text.training.modes.layers import layer_stack
from recsys.text.training.modes.token_table import TokenTable
from tests.recsys.text.encoders_made import ARCHITECTURES, TEXTS
from tests.worlds import FailingTrack, listing

MODES = ("top_layers", "lora", "full")
SETTINGS = TextSettings(layers=2, encoder_dropout=0.1)
QUIET = SETTINGS.model_copy(update={"encoder_dropout": 0.0})

Sources = Callable[..., EncoderSource]


@pytest.fixture(scope="module", params=list(ARCHITECTURES))
def encoder(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> TextEncoder:
    folder = ARCHITECTURES[request.param](tmp_path_factory.mktemp("encoder"))
    return TextEncoder.load(folder, max_tokens=24)


@pytest.fixture
def source(encoder: TextEncoder, tmp_path: Path) -> Sources:
    def make(mode: str, settings: TextSettings = SETTINGS, seed: int = 0) -> EncoderSource:
        tokens = TokenTable.of(list(TEXTS), ["gift", "围巾"], encoder)
        chosen = settings.model_copy(update={"mode": mode})
        return encoder_source(chosen, encoder, tokens, seed, tmp_path / "cache")

    return make


def everything(source: EncoderSource) -> np.ndarray:
    return np.arange(len(source.tokens.texts))


def step(source: EncoderSource) -> None:
    """Take a step that pulls all vectors towards one direction."""
    optimiser = torch.optim.SGD(list(source.trainable.values()), lr=0.5)
    for _ in range(3):
        vectors = source.vectors(everything(source), training=True)
        (-vectors[:, 0].sum()).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        optimiser.zero_grad()


@pytest.mark.parametrize("mode", MODES)
def test_before_training_vectors_are_those_of_the_frozen_encoder(
    encoder: TextEncoder, source: Sources, mode: str
) -> None:
    made = source(mode)
    with torch.no_grad():
        found = made.vectors(everything(made), training=False).numpy()
    # The frozen layers' states are kept as float16.
    expected = encoder.encode(list(made.tokens.texts))
    np.testing.assert_allclose(found, expected, atol=2e-3 if mode == "top_layers" else 1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_the_tuned_encoder_says_what_training_saw_and_vectors_cannot_mix(
    encoder: TextEncoder, source: Sources, mode: str, tmp_path: Path
) -> None:
    before = encoder.encode(list(TEXTS))
    made = source(mode)
    step(made)
    with torch.no_grad():
        seen = made.vectors(everything(made), training=False).numpy()
    tuned = made.tuned()
    np.testing.assert_allclose(
        tuned.encode(list(made.tokens.texts)), seen, atol=2e-3 if mode == "top_layers" else 1e-5
    )
    assert tuned.fingerprint != encoder.fingerprint
    assert np.abs(tuned.encode(list(TEXTS)) - before).max() > 0.01
    np.testing.assert_array_equal(encoder.encode(list(TEXTS)), before)
    tuned.save(tmp_path / "tuned")
    again = TextEncoder.load(tmp_path / "tuned", max_tokens=24)
    assert again.fingerprint == tuned.fingerprint
    assert [name for name in listing(tmp_path / "tuned") if "adapter" in name] == []


@pytest.mark.parametrize("mode", MODES)
def test_what_is_trained_changes_and_nothing_else(source: Sources, mode: str) -> None:
    made = source(mode, QUIET)
    before = {name: each.clone() for name, each in made.model.named_parameters()}
    step(made)
    trained = {id(parameter) for parameter in made.trainable.values()}
    changed = set()
    for name, parameter in made.model.named_parameters():
        if not torch.equal(parameter, before[name]):
            assert id(parameter) in trained, name
            changed.add(name)
    assert len(changed) > len(trained) / 2
    if mode == "top_layers":
        assert {name.partition(".")[0] for name in made.trainable} == {"0", "1"}
    if mode == "lora":
        assert all("lora_" in name for name in made.trainable)


@pytest.mark.parametrize("mode", MODES)
def test_dropout_is_on_in_training_alone(source: Sources, mode: str) -> None:
    made = source(mode)
    if mode == "lora":
        step(made)
    places = everything(made)
    with torch.no_grad():
        calm, wild = (
            [made.vectors(places, training=training) for _ in range(2)]
            for training in (False, True)
        )
    assert torch.equal(calm[0], calm[1])
    assert not torch.equal(wild[0], wild[1])
    assert not torch.equal(wild[0], calm[0])


def test_the_frozen_layers_run_once_per_distinct_text(encoder: TextEncoder, tmp_path: Path) -> None:
    cache = tmp_path / "cache"

    def labels(items: list[str], chosen: TextEncoder = encoder, layers: int = 2) -> list[str]:
        track = FailingTrack(None, [])
        tokens = TokenTable.of(items, [], chosen)
        made, whole = (
            encoder_source(
                SETTINGS.model_copy(update={"layers": layers, "mode": mode}),
                *(chosen, tokens, 0, cache),
                track=track,
            )
            for mode in ("top_layers", "full")
        )
        places = everything(made)
        with torch.no_grad():
            both = [each.vectors(places, training=False).numpy() for each in (made, whole)]
        np.testing.assert_allclose(both[0], both[1], atol=2e-3)
        return track.seen

    ran = ["Running the frozen layers"]
    assert labels(list(TEXTS[:5])) == ran
    assert labels([TEXTS[2], TEXTS[2], TEXTS[0], ""]) == []
    assert labels(list(TEXTS)) == ran
    assert labels([*TEXTS[::-1]]) == []
    assert labels(list(TEXTS[:5]), layers=1) == ran
    assert labels(list(TEXTS[:5]), layers=3) == ran
    other = replace(encoder, fingerprint="another")
    assert labels(list(TEXTS[:5]), other) == ran


def test_the_table_has_each_text_once_and_counts_what_was_cut(encoder: TextEncoder) -> None:
    tokens = TokenTable.of(["gift", "", TEXTS[6], "gift"], ["gift", "red"], encoder)
    assert list(tokens.texts) == ["gift", TEXTS[6], "red"]
    assert tokens.item_text.tolist() == [0, -1, 1, 0]
    assert tokens.query_text.tolist() == [0, 2]
    assert tokens.cut == 1
    assert tokens.lengths.max() == 24


def test_more_layers_than_there_are_is_refused(source: Sources) -> None:
    with pytest.raises(UsageError, match="layers = 4 of an encoder of 3"):
        source("top_layers", SETTINGS.model_copy(update={"layers": 4}))


def test_a_model_whose_layers_share_their_weights_has_no_top_layers(encoder: TextEncoder) -> None:
    model = torch.nn.Module()
    model.config = encoder.model.config
    with pytest.raises(UsageError, match="no list of 3 layers in a Module"):
        layer_stack(model)


def test_bf16_is_refused_without_units_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False})
    with pytest.raises(UsageError, match="precision fp32"):
        require_precision("bf16", "cpu")
    require_precision("fp32", "cpu")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    require_precision("bf16", "cpu")


@pytest.mark.parametrize("mode", MODES)
def test_bf16_computes_nearly_the_same_and_keeps_weights_in_float32(
    source: Sources, mode: str
) -> None:
    made = source(mode, QUIET)
    short = replace(made, precision="bf16")
    places = everything(made)
    with torch.no_grad():
        both = [each.vectors(places, training=False) for each in (made, short)]
    assert both[1].dtype == torch.float32
    assert not torch.equal(both[0], both[1])
    assert (both[0] * both[1]).sum(1).min() > 0.99
    step(short)
    assert all(parameter.dtype == torch.float32 for parameter in short.trainable.values())
