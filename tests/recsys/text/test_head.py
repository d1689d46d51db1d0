"""The head as it is trained, in torch, against the table that answers requests, in numpy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from features.arrays.clock import DAY
from features.arrays.key_index import MISSING
from features.log.history import History
from recsys.text.head import InterestModel, table_of
from recsys.text.interest import InterestTable, Past, ages
from recsys.text.training.loss import UserBatch, own_scores, shared_scores
from tests.worlds import NOON

DIM, KINDS, ITEMS, PAST = 8, 3, 12, 5


def random_model(seed: int) -> InterestModel:
    """A head whose every weight is far from where it begins."""
    torch.manual_seed(seed)
    model = InterestModel(DIM, KINDS, dropout=0.3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return model.eval()


def random_vectors(random: np.random.Generator) -> np.ndarray:
    vectors = random.normal(size=(ITEMS, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[[3, 7]] = np.nan
    return vectors


def texts_of(vectors: np.ndarray, item: np.ndarray) -> np.ndarray:
    """Give the text of each item, its own row; `MISSING` for an unknown item or one without."""
    silent = np.append(np.isnan(vectors[:, 0]), True)
    return np.where(silent[item], np.int32(MISSING), item)


def past_of(vectors: np.ndarray, history: History) -> Past:
    return Past(history, texts_of(vectors, history.item))


def torch_match(
    model: InterestModel, vectors: np.ndarray, item: np.ndarray, history: History, query: np.ndarray
) -> np.ndarray:
    """Score a request on the path that training takes."""
    known = ~np.isnan(vectors[:, 0])
    text = torch.from_numpy(np.nan_to_num(vectors))
    width = max(len(history.item), 1)
    past_item = np.where(known[history.item], history.item, MISSING)
    places = torch.from_numpy(history.padded(past_item, width).astype(np.int64))
    past = model.tower(model.past, text[places.clamp(min=0)])
    age = torch.from_numpy(history.padded(ages(history, np.array([NOON])), width))
    kind = torch.from_numpy(history.padded(history.kind, width).astype(np.int64))
    logits = model.attention(past, kind, age)
    candidate = torch.from_numpy(item.astype(np.int64))
    z = model.tower(model.item, text[candidate.clamp(min=0)])
    user = UserBatch(past, logits, places, torch.from_numpy(np.nan_to_num(query))[None])
    with torch.inference_mode():
        score = own_scores(model, user, z[None], candidate[None])[0].numpy()
        shared = shared_scores(model, user, z, candidate)[0].numpy()
    np.testing.assert_allclose(shared, score, atol=1e-4, rtol=1e-4)
    return np.where((item >= 0) & known[item], score, np.nan)


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.booleans(), st.booleans())
def test_the_table_scores_as_the_head_was_trained(seed: int, asked: bool, empty: bool) -> None:
    random = np.random.default_rng(seed)
    vectors, model = random_vectors(random), random_model(seed)
    item = random.integers(MISSING, ITEMS, 10).astype(np.int32)
    length = 0 if empty else int(random.integers(1, PAST + 1))
    history = History(
        np.array([0, length]),
        random.integers(0, ITEMS, length).astype(np.int32),
        random.integers(0, KINDS, length).astype(np.int16),
        NOON - random.integers(0, 400 * DAY, length),
    )
    query = random.normal(size=DIM).astype(np.float32) if asked else np.full(DIM, np.nan, "f4")
    table = table_of(model, vectors)
    candidates = table.candidates(texts_of(vectors, item))
    found = table.match(candidates, item, past_of(vectors, history), NOON, query)
    assert found.dtype == np.float32
    np.testing.assert_allclose(
        found, torch_match(model, vectors, item, history, query), atol=1e-4, rtol=1e-4
    )


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return random_vectors(np.random.default_rng(1))


@pytest.fixture(scope="module")
def table(vectors: np.ndarray) -> InterestTable:
    return table_of(random_model(1), vectors)


def history_of(vectors: np.ndarray, *items: int) -> Past:
    history = History(
        np.array([0, len(items)]),
        np.array(items, np.int32),
        np.zeros(len(items), np.int16),
        np.full(len(items), NOON - DAY),
    )
    return past_of(vectors, history)


def test_an_item_that_brings_its_text_scores_as_if_it_were_known(
    table: InterestTable, vectors: np.ndarray
) -> None:
    known, unknown = np.array([5], np.int32), np.array([MISSING], np.int32)
    history = history_of(vectors, 1, 2)
    np.testing.assert_allclose(
        table.match(table.candidates(unknown, {0: vectors[5]}), unknown, history, NOON, None),
        table.match(table.candidates(known), known, history, NOON, None),
        atol=1e-5,
    )


def test_the_own_copy_in_the_history_says_nothing(
    table: InterestTable, vectors: np.ndarray
) -> None:
    item = np.array([4], np.int32)

    def match(*past: int) -> float:
        history = history_of(vectors, *past)
        return float(table.match(table.candidates(item), item, history, NOON, None)[0])

    assert match(4, 1, 2) == pytest.approx(match(1, 2), abs=1e-5)
    assert match(4) == pytest.approx(match(), abs=1e-5)
    assert match(1) != pytest.approx(match(2), abs=1e-2)


def test_past_items_without_text_say_nothing(table: InterestTable, vectors: np.ndarray) -> None:
    item = np.arange(6, dtype=np.int32)
    candidates = table.candidates(texts_of(vectors, item))
    np.testing.assert_allclose(
        table.match(candidates, item, history_of(vectors, 3, 1, 7), NOON, None),
        table.match(candidates, item, history_of(vectors, 1), NOON, None),
        atol=1e-5,
    )


def test_a_fresh_head_is_the_cosine_to_the_history(vectors: np.ndarray) -> None:
    model = InterestModel(DIM, KINDS, dropout=0)
    with torch.no_grad():
        model.sharp_scale.zero_()
        for layer in model.attend.parameters():
            layer.zero_()
    fresh = table_of(model, vectors)
    item = np.array([0, 1, 2], np.int32)
    cosine = vectors[item] @ vectors[[4, 5]].T
    np.testing.assert_allclose(
        fresh.match(fresh.candidates(item), item, history_of(vectors, 4, 5), NOON, None),
        5 * (cosine[:, 0] + cosine[:, 1]) / 2,
        atol=1e-5,
    )


def test_a_text_that_is_added_scores_as_one_that_was_there(vectors: np.ndarray) -> None:
    model = random_model(1)
    whole, part = table_of(model, vectors), table_of(model, vectors[:5])
    item = np.array([1, 6], np.int32)
    row = part.add(vectors[6])
    assert row == 5
    history = history_of(vectors, 6, 2)
    grown = Past(history.history, np.array([row, 2], np.int32))
    np.testing.assert_allclose(
        part.match(part.candidates(np.array([1, row], np.int32)), item, grown, NOON, None),
        whole.match(whole.candidates(item), item, history, NOON, None),
        atol=1e-5,
    )
    np.testing.assert_allclose(part.past.all()[row], whole.past.base[6], atol=1e-6)
