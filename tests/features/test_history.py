"""Histories against a walk over the events."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.catalogue import MISSING
from features.history import Recent, last_interactions
from features.log import Events

K = 3
ROWS = st.lists(
    st.tuples(st.integers(0, 12), st.integers(-1, 3), st.integers(-1, 4), st.integers(0, 1)),
    max_size=40,
)
ASKED = st.lists(st.tuples(st.integers(-1, 5), st.integers(0, 13)), max_size=8)


def _events(rows: list[tuple[int, int, int, int]]) -> Events:
    ordered = np.array(sorted(rows, key=lambda row: row[0]), np.int64).reshape(-1, 4).T
    time, user, item, kind = ordered
    none = np.full(len(time), MISSING, np.int32)
    return Events(
        time, user.astype(np.int32), item.astype(np.int32), kind.astype(np.int16), none, ("a", "b")
    )


def _walk(events: Events, user: int, time: int) -> list[tuple[int, int, int]]:
    past = [
        (int(events.item[place]), int(events.kind[place]), int(events.time[place]))
        for place in range(len(events))
        if user >= 0
        and events.user[place] == user
        and events.item[place] >= 0
        and events.time[place] < time
    ]
    return past[::-1][:K] + [(MISSING, MISSING, 0)] * (K - len(past))


@given(ROWS, ASKED)
def test_the_last_interactions_stand_newest_first(
    rows: list[tuple[int, int, int, int]], asked: list[tuple[int, int]]
) -> None:
    events = _events(rows)
    user, time = np.array(asked, np.int64).reshape(-1, 2).T
    history = last_interactions(events, user.astype(np.int32), time, K)
    assert history.item.shape == (len(asked), K)
    for place, (who, when) in enumerate(asked):
        found = zip(history.item[place], history.kind[place], history.time[place], strict=True)
        assert [tuple(map(int, each)) for each in found] == _walk(events, who, when)


@given(ROWS, st.lists(ROWS, max_size=4), st.booleans())
def test_recent_forgets_nothing_of_the_last_k(
    first: list[tuple[int, int, int, int]],
    days: list[list[tuple[int, int, int, int]]],
    tidies: bool,
) -> None:
    recent = Recent(K, Events.none(("a", "b")))
    whole: list[tuple[int, int, int, int]] = []
    for number, day in enumerate([first, *days]):
        shifted = [(time + number * 20, *rest) for time, *rest in day]
        whole += shifted  # type: ignore[arg-type]
        recent.of_user(1)
        recent.advance(_events(shifted))  # type: ignore[arg-type]
        if tidies:
            recent.tidy()
    end = 20 * (len(days) + 1)
    for user in range(-1, 6):
        found = recent.of_user(user)
        rows = zip(found.item[0], found.kind[0], found.time[0], strict=True)
        assert [tuple(map(int, each)) for each in rows] == _walk(_events(whole), user, end)
    if tidies:
        users, counts = np.unique(recent.events.user, return_counts=True)
        assert (counts <= K).all()
        assert (users >= 0).all()


def test_newest_and_take_cut_columns_and_rows() -> None:
    history = last_interactions(
        _events([(1, 0, 4, 0), (2, 0, 3, 1), (3, 1, 2, 0)]), np.array([0, 1]), np.array([9, 9]), K
    )
    np.testing.assert_array_equal(history.newest(1).item, [[3], [2]])
    np.testing.assert_array_equal(history.take(np.array([1, 0, 1])).item[:, 0], [2, 3, 2])
