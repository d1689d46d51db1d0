"""Likeness against the formulas written out pair by pair."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from likeness import LikenessTable

from features.catalogue import MISSING
from features.history import History

ITEMS, DIM, WIDTH = 12, 6, 0.2


def unit_vectors(seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(ITEMS, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[[3, 7]] = np.nan
    return vectors


def table(vectors: np.ndarray, *, dimensions: int = DIM, history: int = 8) -> LikenessTable:
    return LikenessTable.of(vectors, dimensions=dimensions, width=WIDTH, history=history)


def past(*items: int) -> History:
    shape = (1, len(items))
    return History(np.array([items], np.int32), np.zeros(shape, np.int16), np.zeros(shape, "i8"))


def read(table: LikenessTable, item: np.ndarray, history: History) -> np.ndarray:
    return table.read(table.candidates(item), item, history)


@given(st.integers(0, 10_000), st.lists(st.integers(MISSING, ITEMS - 1), min_size=1, max_size=12))
def test_it_is_the_formula(seed: int, items: list[int]) -> None:
    vectors = unit_vectors(seed)
    candidates = np.arange(MISSING, ITEMS, dtype=np.int32)
    found = read(table(vectors), candidates, past(*items))
    for row, item in zip(found, candidates, strict=True):
        others = [other for other in items[:8] if other not in (MISSING, 3, 7, item)]
        if item in (MISSING, 3, 7) or not others:
            assert np.isnan(row).all()
            continue
        cosines = [float(vectors[item] @ vectors[other]) for other in others]
        mass = sum(np.exp((cosine - 1) / WIDTH) for cosine in cosines)
        np.testing.assert_allclose(row, [max(cosines), WIDTH * np.log(mass)], atol=1e-5)


def test_all_dimensions_keep_the_cosines_and_few_keep_their_unit_length() -> None:
    vectors = unit_vectors(0)
    whole, few = table(vectors).vectors, table(vectors, dimensions=2).vectors
    np.testing.assert_allclose(whole @ whole.T, vectors @ vectors.T, atol=1e-5)
    assert few.shape == (ITEMS, 2)
    np.testing.assert_allclose(np.linalg.norm(np.delete(few, [3, 7], 0), axis=1), 1, atol=1e-6)


def test_an_item_that_brings_its_text_is_as_near_as_if_it_were_known() -> None:
    vectors = unit_vectors(1)
    near = table(vectors, dimensions=3)
    unknown = np.array([MISSING], np.int32)
    brought = near.read(near.candidates(unknown, {0: vectors[5]}), unknown, past(1, 2))
    np.testing.assert_allclose(brought, read(near, np.array([5], np.int32), past(1, 2)), atol=1e-5)


def test_what_lies_further_back_than_the_history_says_nothing() -> None:
    near = table(unit_vectors(2), history=2)
    items = np.arange(4, ITEMS, dtype=np.int32)
    np.testing.assert_array_equal(read(near, items, past(0, 1, 2)), read(near, items, past(0, 1)))


@pytest.mark.parametrize("nobody", [past(MISSING), past(3, 7)])
def test_a_user_without_texts_has_no_likeness(nobody: History) -> None:
    assert np.isnan(read(table(unit_vectors(3)), np.array([0, 1], np.int32), nobody)).all()
