import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.datasets.simulation.state import contains, empty_state, items_of, pair_keys

DAYS = st.lists(st.lists(st.integers(0, 9), max_size=6), min_size=1, max_size=8)


@given(days=DAYS, remembered=st.integers(1, 4))
def test_pairs_are_those_of_the_last_days(days: list[list[int]], remembered: int) -> None:
    state = empty_state(10)
    nothing = np.empty(0, np.int64)
    for day, pairs in enumerate(days):
        state = state.after(day, np.array(pairs, np.int64), nothing, remembered)
        last = {pair: d for d in range(day + 1) for pair in days[d]}
        expected = sorted(pair for pair, d in last.items() if d > day - remembered or d == day)
        assert state.clicked.keys.tolist() == expected
        assert state.clicked.last_day.tolist() == [last[pair] for pair in expected]
        assert contains(state.clicked.keys, np.arange(10)).tolist() == [
            pair in expected for pair in range(10)
        ]
    assert len(state.bought.keys) == 0


def test_keys_sort_by_user_then_item_and_give_the_item_back() -> None:
    keys = pair_keys(np.array([2, 1, 1]), np.array([0, 7, 3]))
    assert np.argsort(keys).tolist() == [2, 1, 0]
    assert items_of(keys).tolist() == [0, 7, 3]
