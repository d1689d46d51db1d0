"""Histories in an arena against plain lists, and what they weigh."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.online.history import OnlineHistory

USERS = 4
Row = tuple[int, int, int, int]
"""User, item, kind, time."""
ROWS = st.lists(
    st.tuples(st.integers(0, USERS - 1), st.integers(0, 9), st.integers(0, 1), st.integers(0, 12)),
    max_size=12,
)
STEPS = st.lists(st.tuples(ROWS, st.booleans(), st.integers(0, 13) | st.none()), max_size=8)


class _Lists:
    """The last interactions of users as lists in order of time."""

    def __init__(self, k: int) -> None:
        self.k = k
        self.of: list[list[Row]] = [[] for _ in range(USERS)]

    def add(self, row: Row) -> None:
        both = sorted([*self.of[row[0]], row], key=lambda each: each[3])
        self.of[row[0]] = both[-self.k :]

    def forget(self, before: int) -> None:
        self.of = [[row for row in rows if row[3] >= before] for rows in self.of]


def _columns(rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    user, item, kind, time = np.array(rows, np.int64).reshape(-1, 4).T
    return user.astype(np.int32), item.astype(np.int32), kind.astype(np.int16), time.copy()


def _assert_same(history: OnlineHistory, lists: _Lists) -> None:
    for user, rows in enumerate(lists.of):
        found = history.of_user(user)
        assert found.starts.tolist() == [0, len(rows)]
        kept = zip(found.item, found.kind, found.time, strict=True)
        assert [tuple(map(int, each)) for each in kept] == [row[1:] for row in rows[::-1]]
        assert history.count[user] == len(rows)
        assert history.last_times()[user] == (rows[-1][3] if rows else 0)


@given(st.sampled_from((1, 3, 8)), STEPS)
def test_it_keeps_what_lists_keep(k: int, steps: list[tuple[list[Row], bool, int | None]]) -> None:
    history, lists = OnlineHistory(k), _Lists(k)
    history.make_room(USERS)
    for rows, singly, before in steps:
        if singly:
            for row in rows:
                history.add_one(*row)
        else:
            history.add(*_columns(rows))
        for row in rows:
            lists.add(row)
        if before is not None:
            history.forget(before)
            lists.forget(before)
        _assert_same(history, lists)
    _assert_same(OnlineHistory.of_packed(k, history.packed(USERS)), lists)


def _of_each(users: int, k: int, events: int) -> OnlineHistory:
    """Give every user some interactions, one after the other."""
    history = OnlineHistory(k)
    history.make_room(users)
    everyone = np.arange(users, dtype=np.int32)
    for time in range(events):
        history.add(everyone, everyone, np.zeros(users, np.int16), np.full(users, time, np.int64))
    return history


@pytest.mark.parametrize("k", [1, 50, 300, 1000])
def test_a_user_of_one_interaction_takes_under_100_bytes_whatever_is_kept(k: int) -> None:
    users = 30_000
    assert _of_each(users, k, 1).bytes_used < 100 * users


def _most(users: int, k: int, events: int) -> float:
    """Bytes of users of so many interactions each, at the most."""
    entry, of_user = 4 + 2 + 8, 8 + 3 * 4
    # Rings are half full at the least, and half as much again may be free or left behind.
    return 1.5 * (2 * events * entry + of_user) * users + 2 * k * entry


@pytest.mark.parametrize("events", [3, 10, 33, 300])
def test_memory_is_in_proportion_to_what_is_remembered(events: int) -> None:
    assert _of_each(1_000, 300, events).bytes_used <= _most(1_000, 300, events)


def test_forgetting_gives_memory_back() -> None:
    history = _of_each(1_000, 300, 100)
    history.forget(99)
    assert (history.count[:1_000] == 1).all()
    assert history.bytes_used <= _most(1_000, 300, 1)


def test_room_of_what_is_forgotten_is_used_again() -> None:
    users = 1_000
    history = _of_each(users, 300, 4)
    everyone = np.arange(users, dtype=np.int32)
    for now in range(10, 100, 10):
        history.forget(now)
        for step in range(4):
            time = np.full(users, now + step, np.int64)
            history.add(everyone, everyone, np.zeros(users, np.int16), time)
    assert history.bytes_used <= _most(users, 300, 4)
