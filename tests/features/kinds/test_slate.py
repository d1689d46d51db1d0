"""Ranks within a slate against scipy's."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from features.kinds.slate import slate_percentile

VALUES = st.sampled_from((float("nan"), -1.0, 0.0, 0.5, 3.0, float("inf")))


@given(st.lists(st.lists(VALUES, min_size=1, max_size=6), max_size=5))
def test_slate_percentile_is_the_mid_rank_of_each_request(slates: list[list[float]]) -> None:
    values = np.array([value for slate in slates for value in slate], float)
    request = np.repeat(np.arange(len(slates)), [len(slate) for slate in slates])
    expected = []
    for slate in slates:
        known = np.count_nonzero(~np.isnan(slate))
        ranks = rankdata(slate, nan_policy="omit")
        expected.append(
            (ranks - 1) / (known - 1) if known > 1 else np.where(np.isnan(slate), np.nan, 0.5)
        )
    np.testing.assert_allclose(
        slate_percentile(values, request), np.concatenate([np.zeros(0), *expected]), rtol=1e-12
    )


@given(st.lists(VALUES, min_size=1, max_size=8), st.lists(VALUES, min_size=1, max_size=4))
def test_a_slate_alone_is_ranked_to_the_bit_as_among_others(
    slate: list[float], other: list[float]
) -> None:
    values = np.array(slate, float)
    both = np.concatenate([values, np.array(other, float)])
    request = np.repeat([0, 1], [len(slate), len(other)])
    alone = slate_percentile(values, np.zeros(len(slate), np.int64))
    np.testing.assert_array_equal(slate_percentile(both, request)[: len(slate)], alone)
