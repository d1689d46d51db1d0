"""The hash table against a dict."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.arrays.key_index import MISSING
from features.online.counters.keys import HashedKeys

# Few distinct high halves, as users have them, so that many keys are alike but for some bits.
CODES = st.builds(lambda user, part: (user << 32) | part, st.integers(0, 40), st.integers(0, 9))
BATCHES = st.lists(st.one_of(CODES, st.lists(CODES, max_size=120)), max_size=12)


@given(BATCHES, st.lists(CODES, max_size=30))
def test_keys_have_the_rows_in_the_order_in_which_they_came(
    batches: list[int | list[int]], others: list[int]
) -> None:
    keys, rows = HashedKeys(), dict[int, int]()
    for batch in batches:
        if isinstance(batch, int):
            assert keys.add_one(batch) == rows.setdefault(batch, len(rows) + 1)
        else:
            wanted = [rows.setdefault(code, len(rows) + 1) for code in batch]
            assert keys.add(np.array(batch, np.int64)).tolist() == wanted
    assert keys.codes.tolist() == list(rows)
    asked = [*rows, *others, MISSING]
    wanted = [rows.get(code, 0) for code in asked]
    assert keys.find(np.array(asked, np.int64)).tolist() == wanted
    again = HashedKeys(keys.codes)
    assert again.find(np.array(asked, np.int64)).tolist() == wanted


def test_the_table_grows_key_by_key() -> None:
    keys = HashedKeys()
    codes = [(n * 7_919) << 20 for n in range(5_000)]
    assert [keys.add_one(code) for code in codes] == list(range(1, 5_001))
    assert keys.find(np.array(codes, np.int64)).tolist() == list(range(1, 5_001))
    assert keys.codes.tolist() == codes
