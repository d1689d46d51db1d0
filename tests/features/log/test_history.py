"""Histories against a walk over the events."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.arrays.clock import DAY
from features.arrays.key_index import MISSING
from features.batch.history import RecentHistory
from features.log.events import Events
from features.log.history import History, last_interactions

K = 3
FORGET = 5
ROWS = st.lists(
    st.tuples(
        st.integers(0, 12),
        st.integers(-1, 3),
        st.integers(-1, 4),
        st.integers(0, 1),
        st.sampled_from((0, 0, 0, 1, 9)),
    ),
    max_size=40,
)
Row = tuple[int, int, int, int, int]
ASKED = st.lists(st.tuples(st.integers(-1, 5), st.integers(0, 23)), max_size=8)


def _events(rows: list[Row], unit: int = 1) -> Events:
    known_order = sorted(rows, key=lambda row: row[0] + row[4])
    time, user, item, kind, late = np.array(known_order, np.int64).reshape(-1, 5).T
    none = np.full(len(time), MISSING, np.int64)
    return Events(
        time * unit,
        (time + late) * unit,
        user.astype(np.int32),
        item.astype(np.int32),
        kind.astype(np.int16),
        none,
        none,
        ("a", "b"),
    )


def _walk(events: Events, user: int, time: int) -> list[tuple[int, int, int]]:
    past = [
        place
        for place in range(len(events))
        if user >= 0
        and events.user[place] == user
        and events.item[place] >= 0
        and events.known[place] < time
        and events.time[place] >= (time // DAY - FORGET) * DAY
    ]
    past.sort(key=lambda place: (events.time[place], events.known[place], place))
    return [
        (int(events.item[place]), int(events.kind[place]), int(events.time[place]))
        for place in past[::-1][:K]
    ]


def _listed(history: History, row: int) -> list[tuple[int, int, int]]:
    one = history.of(row)
    assert one.starts.tolist() == [0, history.lengths[row]]
    return list(zip(one.item.tolist(), one.kind.tolist(), one.time.tolist(), strict=True))


@given(ROWS, ASKED, st.sampled_from((1, DAY)))
def test_the_last_interactions_stand_newest_first(
    rows: list[Row], asked: list[tuple[int, int]], unit: int
) -> None:
    events = _events(rows, unit)
    user, time = np.array(asked, np.int64).reshape(-1, 2).T
    time = time * unit
    history = last_interactions(events, user.astype(np.int32), time, K, FORGET)
    assert len(history) == len(asked)
    assert len(history.item) == len(history.kind) == len(history.time) == history.starts[-1]
    for place, (who, when) in enumerate(asked):
        assert _listed(history, place) == _walk(events, who, when * unit)


@given(ROWS, st.booleans())
def test_recent_forgets_nothing_of_the_last_k_but_what_is_too_old(
    rows: list[Row], tidies: bool
) -> None:
    recent = RecentHistory(K, FORGET, Events.none(("a", "b")))
    events = _events(rows, DAY)
    for day in range(23):
        recent.advance(events.between(day * DAY, (day + 1) * DAY), (day + 1) * DAY)
        if tidies:
            recent.tidy()
        users, midnight = np.arange(-1, 6), np.full(7, (day + 1) * DAY)
        assert (recent.events.time >= (day + 1 - FORGET) * DAY).all()
        kept = last_interactions(recent.events, users, midnight, K, FORGET)
        for place, user in enumerate(users.tolist()):
            assert _listed(kept, place) == _walk(events, user, (day + 1) * DAY)
        if tidies:
            users, counts = np.unique(recent.events.user, return_counts=True)
            assert (counts <= K).all()
            assert (users >= 0).all()


@given(ROWS, ASKED, st.integers(0, 22))
def test_what_is_kept_and_the_day_give_the_whole_history(
    rows: list[Row], asked: list[tuple[int, int]], day: int
) -> None:
    events = _events(rows, DAY)
    recent = RecentHistory(K, FORGET, Events.none(("a", "b")))
    for each in range(day):
        recent.advance(events.between(each * DAY, (each + 1) * DAY), (each + 1) * DAY)
        recent.tidy()
    user = np.array([who for who, _ in asked], np.int32)
    time = np.array([day * DAY + of_day for _, of_day in asked], np.int64)
    both = Events.join([recent.events, events.between(day * DAY, (day + 1) * DAY)])
    history = last_interactions(both, user, time, K, FORGET)
    for place, (who, of_day) in enumerate(asked):
        assert _listed(history, place) == _walk(events, who, day * DAY + of_day)


@pytest.mark.parametrize("rows", [np.array([1, 0, 1]), np.array([0])])
def test_newest_and_take_cut_columns_and_rows(rows: np.ndarray) -> None:
    history = last_interactions(
        _events([(1, 0, 4, 0, 0), (2, 0, 3, 1, 0), (3, 1, 2, 0, 0)]),
        np.array([0, 1]),
        np.array([9, 9]),
        K,
        FORGET,
    )
    assert history.item.tolist() == [3, 4, 2]
    assert history.newest(1).item.tolist() == [3, 2]
    assert history.newest(2) is history
    taken = history.take(rows)
    assert [taken.of(n).item.tolist() for n in range(len(rows))] == [
        [[3, 4], [2]][row] for row in rows
    ]
    np.testing.assert_array_equal(history.padded(history.item, 3, -7), [[3, 4, -7], [2, -7, -7]])
    np.testing.assert_array_equal(history.padded(history.kind, 1), [[1], [0]])


@pytest.mark.parametrize("k", [K, 1000])
def test_a_history_takes_what_its_interactions_take(k: int) -> None:
    history = last_interactions(
        _events([(1, 0, 4, 0, 0), (2, 0, 3, 1, 0), (3, 1, 2, 0, 0)]),
        np.array([0, 1, 7]),
        np.array([9, 9, 9]),
        k,
        FORGET,
    )
    arrays = (history.starts, history.item, history.kind, history.time)
    assert sum(array.nbytes for array in arrays) == (3 + 1) * 8 + 3 * (4 + 2 + 8)
