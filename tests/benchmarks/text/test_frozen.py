"""Columns of the frozen encoder against the formulas written out pair by pair."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.text.frozen import compare
from features.arrays.key_index import MISSING

ITEMS, DIM, WIDTH = 12, 6, 0.2
NO_TEXT = (3, 7)


def unit_vectors(seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(ITEMS, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[[*NO_TEXT]] = np.nan
    return vectors


@given(st.integers(0, 10_000), st.lists(st.integers(0, ITEMS - 1), max_size=12))
def test_it_is_the_formula(seed: int, items: list[int]) -> None:
    vectors = unit_vectors(seed)
    candidates = np.arange(MISSING, ITEMS, dtype=np.int32)
    found = compare(vectors, candidates, np.array(items, np.int32), WIDTH)
    for row, item in zip(found, candidates, strict=True):
        others = [other for other in items if other not in (*NO_TEXT, item)]
        if item in (MISSING, *NO_TEXT) or not others:
            assert np.isnan(row).all()
            continue
        cosines = [float(vectors[item] @ vectors[other]) for other in others]
        mass = sum(np.exp((cosine - 1) / WIDTH) for cosine in cosines)
        np.testing.assert_allclose(row, [max(cosines), WIDTH * np.log(mass)], atol=1e-5)
