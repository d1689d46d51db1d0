"""Rows of keys against a dictionary, with keys that meet in the hash table."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from features.arrays.key_index import KeyIndex

CODES = st.lists(st.integers(0, 30) | st.integers(2**40, 2**40 + 30) | st.integers(0, 2**62))


@settings(deadline=None)
@given(st.lists(CODES, max_size=8), CODES)
def test_keys_get_rows_in_the_order_in_which_they_come(
    batches: list[list[int]], asked: list[int]
) -> None:
    expected: dict[int, int] = {}
    index = KeyIndex()
    for batch in batches:
        rows = index.add(np.array(batch, np.int64))
        assert rows.tolist() == [expected.setdefault(code, len(expected)) for code in batch]
    found = index.find(np.array([*asked, *expected, -1], np.int64))
    assert found.tolist() == [expected.get(code, -1) for code in (*asked, *expected, -1)]
    assert index.rows_used == len(expected)


def test_a_table_that_grows_keeps_every_row() -> None:
    codes = np.random.default_rng(5).permutation(np.arange(20_000, dtype=np.int64) << 32)
    index = KeyIndex(codes[:3])
    np.testing.assert_array_equal(index.add(codes), np.arange(len(codes)))
    np.testing.assert_array_equal(index.find(codes), np.arange(len(codes)))
