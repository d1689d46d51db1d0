import importlib.util
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from data_contracts.errors import UsageError
from features.arrays.clock import DAY
from features.log.history import History
from recsys.text.attribution import Score, differentiable_match, word_shares
from recsys.text.encoder.bert import TextEncoder, mean_pooled
from recsys.text.encoder.tokenizer import TextTokenizer
from recsys.text.head import table_of
from tests.recsys.text.encoders_made import ARCHITECTURES
from tests.recsys.text.test_head import (
    DIM,
    ITEMS,
    KINDS,
    PAST,
    past_of,
    random_model,
    random_vectors,
)
from tests.worlds import NOON

TEXT = "red wool-scarf, blue 红色围巾 écharpe gift"


@pytest.fixture(scope="module", params=ARCHITECTURES)
def encoder(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> TextEncoder:
    folder = ARCHITECTURES[request.param](tmp_path_factory.mktemp("attribution") / "bert")
    encoder = TextEncoder.load(folder, max_tokens=60)
    # Fresh weights are so small that any score is nearly a straight line.
    with torch.no_grad():
        for parameter in encoder.model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(4)
    return encoder


def towards(encoder: TextEncoder, text: str, power: int = 3) -> Score:
    """A curved score: how near a vector is to that of a text."""
    target = torch.from_numpy(encoder.encode([text])[0])
    return lambda vectors: 5 * (vectors @ target) ** power


def test_the_shares_add_up_to_what_the_words_change(encoder: TextEncoder) -> None:
    score = towards(encoder, "blue silk scarf")
    found = word_shares(encoder, TEXT, score, steps=300)
    assert abs(found.error) < 0.02 * np.abs(found.shares).sum()
    assert np.abs(found.shares).sum() > 0.01
    vectors = torch.from_numpy(encoder.encode([TEXT]))
    assert found.score == pytest.approx(float(score(vectors)[0]), abs=1e-4)


def test_words_are_those_of_the_text_whatever_the_tokenizer(encoder: TextEncoder) -> None:
    words = word_shares(encoder, TEXT, towards(encoder, "gift"), steps=2).words
    assert words[:3] == ("red", "wool-scarf,", "blue")
    assert words[-2:] == ("écharpe", "gift")
    assert "".join(words) == TEXT.replace(" ", "")


def test_what_lies_beyond_the_encoders_length_has_no_share(encoder: TextEncoder) -> None:
    short = replace(encoder, text_tokenizer=TextTokenizer.of(encoder.tokenizer, 8))
    found = word_shares(short, "red scarf " * 20, towards(short, "gift"), steps=2)
    assert 1 <= len(found.words) <= 8


def test_shares_are_the_integral_of_the_gradient(tiny_encoder: Path) -> None:
    encoder = TextEncoder.load(tiny_encoder, max_tokens=32)
    score = towards(encoder, "wool mug")
    pieces = encoder.text_tokenizer.pieces("red wool scarf")
    ids, embed = pieces.ids, encoder.model.get_input_embeddings()
    blanked = np.where(pieces.special, ids, encoder.text_tokenizer.pad_id)
    full, blank = (embed(torch.from_numpy(each)).detach() for each in (ids, blanked))
    mask = torch.ones(1, len(ids), dtype=torch.int64)

    def gradient(share: float) -> Tensor:
        point = (blank + share * (full - blank)).requires_grad_()
        states = encoder.model(inputs_embeds=point[None], attention_mask=mask).last_hidden_state
        score(mean_pooled(states, mask)).sum().backward()  # type: ignore[no-untyped-call]
        assert point.grad is not None
        return point.grad

    middles = (np.arange(400) + 0.5) / 400
    mean = torch.stack([gradient(float(middle)) for middle in middles]).mean(0)
    expected = ((full - blank) * mean).sum(-1).numpy()[~pieces.special]
    found = word_shares(encoder, "red wool scarf", score)
    assert found.words == ("red", "wool", "scarf")
    np.testing.assert_allclose(found.shares, expected, atol=1e-3)


def test_the_word_that_is_sought_has_the_largest_share(tiny_encoder: Path) -> None:
    encoder = TextEncoder.load(tiny_encoder, max_tokens=32)
    for sought in ("lamp", "garden", "winter"):
        text = "red lamp silk garden winter"
        found = word_shares(encoder, text, towards(encoder, sought))
        assert found.words[int(np.argmax(found.shares))] == sought


def test_without_captum_it_says_what_to_install(
    tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec

    def find(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "captum" else real(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find)
    encoder = TextEncoder.load(tiny_encoder)
    with pytest.raises(UsageError, match=r"recsys\[explain\]"):
        word_shares(encoder, "red scarf", towards(encoder, "gift"))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.booleans(), st.booleans())
def test_the_match_as_a_function_is_the_match(seed: int, asked: bool, empty: bool) -> None:
    random = np.random.default_rng(seed)
    vectors = random_vectors(random)
    table = table_of(random_model(seed), vectors)
    length = 0 if empty else int(random.integers(1, PAST + 1))
    history = History(
        np.array([0, length]),
        random.integers(0, ITEMS, length).astype(np.int32),
        random.integers(0, KINDS, length).astype(np.int16),
        NOON - random.integers(0, 400 * DAY, length),
    )
    query = random.normal(size=DIM).astype(np.float32) if asked else None
    for place in (0, 5, *history.item[:1].tolist()):
        if np.isnan(vectors[place, 0]):
            continue
        item = np.array([place], np.int32)
        past = past_of(vectors, history)
        expected = table.match(table.candidates(item), item, past, NOON, query)
        score = differentiable_match(table, place, past, NOON, query)
        found = score(torch.from_numpy(vectors[[place, place]]))
        np.testing.assert_allclose(found.detach().numpy(), expected.repeat(2), atol=1e-4, rtol=1e-4)
