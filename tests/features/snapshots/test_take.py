"""Co-visitation against dense arithmetic, its limits, and what a snapshot knows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from features.log.events import SESSION, Events
from features.snapshots.co_visitation import co_visitation
from features.snapshots.snapshot import NamedSnapshot, Snapshot
from features.snapshots.take import empty_snapshot, snapshot
from tests.features.log.test_catalogue import catalogue_of
from tests.features.worlds import Record, items_table

N_ITEMS = 6
PAIRS = st.lists(st.tuples(st.integers(-1, 4), st.integers(-1, N_ITEMS - 1)), max_size=40)


def _met(pairs: list[tuple[int, int]], neighbours: int, n_items: int = N_ITEMS) -> np.ndarray:
    group = np.array([pair[0] for pair in pairs], np.int32)
    item = np.array([pair[1] for pair in pairs], np.int32)
    met = co_visitation(group, item, n_items, neighbours)
    assert met.dtype == np.float32
    assert met.has_sorted_indices
    dense: np.ndarray = met.toarray()
    return dense


def _dense(pairs: list[tuple[int, int]], n_items: int = N_ITEMS) -> np.ndarray:
    member = np.zeros((10, n_items))
    for group, item in pairs:
        if group >= 0 and item >= 0:
            member[group, item] = 1
    counts = member.sum(axis=0)
    cosine: np.ndarray = (member.T @ member) / np.sqrt(np.outer(counts + 5, counts + 5))
    np.fill_diagonal(cosine, 0)
    return cosine


@settings(deadline=None)
@given(PAIRS)
def test_co_visitation_is_the_shrunk_cosine(pairs: list[tuple[int, int]]) -> None:
    np.testing.assert_allclose(_met(pairs, N_ITEMS), _dense(pairs), rtol=1e-6)


@settings(deadline=None)
@given(PAIRS, st.integers(1, N_ITEMS))
def test_only_the_strongest_are_kept_and_ties_go_to_the_earlier_item(
    pairs: list[tuple[int, int]], neighbours: int
) -> None:
    whole = _met(pairs, N_ITEMS)
    expected = np.zeros_like(whole)
    for row, values in enumerate(whole):
        best = np.lexsort((np.arange(N_ITEMS), -values))[:neighbours]
        expected[row, best] = values[best]
    np.testing.assert_array_equal(_met(pairs, neighbours), expected)


def test_of_a_group_the_last_200_items_count() -> None:
    pairs = [(0, item) for item in range(250)]
    met = _met(pairs, 300, 250)
    assert not met[:50].any()
    assert (np.count_nonzero(met[50:], axis=1) == 199).all()
    again = _met([*pairs, (0, 0)], 300, 250)
    assert again[0].any()
    assert not again[50].any()


def test_more_items_than_a_block_are_joined_in_their_places() -> None:
    rng = np.random.default_rng(3)
    pairs = list(
        zip(rng.integers(0, 9, 600).tolist(), rng.integers(0, 2100, 600).tolist(), strict=True)
    )
    np.testing.assert_allclose(_met(pairs, 2100, 2100), _dense(pairs, 2100), rtol=1e-6)


@settings(deadline=None)
@given(
    PAIRS,
    st.lists(st.integers(-1, N_ITEMS - 1), max_size=5),
    st.lists(st.integers(-1, N_ITEMS - 1), min_size=1, max_size=8),
)
def test_strength_looks_every_pair_up(
    pairs: list[tuple[int, int]], past: list[int], item: list[int]
) -> None:
    dense = _met(pairs, 3)
    rates = np.zeros(N_ITEMS, np.float32)
    met = Snapshot(0, {"user": sparse.csr_array(dense)}, rates, rates, {}, {})
    found = met.strength("user", np.array(past, np.int32), np.array(item, np.int32))
    twice = np.tile(np.array(past, np.int32).reshape(1, -1), (2, 1))
    offsets = np.array([0, len(item), 2 * len(item)])
    many = met.strengths("user", twice, np.array(item * 2, np.int32), offsets)
    np.testing.assert_array_equal(many, np.vstack([found, found]))
    expected = [
        [dense[before, now] if before >= 0 and now >= 0 else 0 for before in past] for now in item
    ]
    np.testing.assert_array_equal(found, np.array(expected, np.float32).reshape(found.shape))
    assert found.shape == (len(item), len(past))


def _events(rows: list[tuple[int, int, int, int]]) -> Events:
    time, user, item, session = (np.array(part) for part in zip(*rows, strict=True))
    kind, value = np.zeros(len(rows), np.int16), np.zeros(len(rows), np.int64)
    return Events(time, time, user, item, kind, session, value, ("click", SESSION))


def test_a_snapshot_counts_repeats_by_day_and_shares_by_event() -> None:
    day = 24 * 3_600_000_000
    events = _events(
        [
            (0, 0, 0, 0),
            (1, 0, 0, 0),
            (2, 1, 0, 1),
            (2 * day, 0, 0, 2),
            (3 * day, -1, 1, 3),
            (6 * day, 0, 0, 4),
            (6 * day, 1, 2, 5),
        ]
    )
    records = [Record("i0", "a"), Record("i1", "b"), Record("i2"), Record("i3", "c")]
    items = catalogue_of(items_table(records).collect(), "category")
    taken = snapshot(events, 7, items, ["category"], 3, 5, {"a/b": 0.5})
    prior = 1 / 3
    expected = [(1 + 5 * prior) / (2 + 5), (0 + 5 * prior) / 5, (0 + 5 * prior) / (1 + 5)]
    np.testing.assert_allclose(taken.repeat_rate, expected, rtol=1e-6)
    np.testing.assert_array_equal(taken.repeat_days, [(2 + 4) / 2, np.nan, np.nan])
    # Two categories were met; that there is a third one changes nothing.
    np.testing.assert_allclose(taken.shares["category"], np.array([5 + 1, 1 + 1, 1]) / (7 + 2 + 1))
    assert taken.rates == {"a/b": 0.5}
    assert taken.day == 7


@pytest.mark.parametrize("n_items", [0, 1, 3])
def test_a_snapshot_of_no_events_has_no_meetings_and_every_share_alike(n_items: int) -> None:
    items = catalogue_of(items_table([Record("i0", "a"), Record("i1", "b")]).collect(), "category")
    empty = empty_snapshot(4, items, ["category"], n_items, {})
    for together in empty.together.values():
        assert together.shape == (n_items, n_items)
        assert together.nnz == 0
    np.testing.assert_array_equal(empty.repeat_rate, np.zeros(n_items))
    assert np.isnan(empty.repeat_days).all()
    np.testing.assert_array_equal(empty.shares["category"], [1, 1])


def test_a_snapshot_is_the_same_by_other_codes() -> None:
    rng = np.random.default_rng(5)
    pairs = list(zip(rng.integers(0, 4, 60), rng.integers(0, N_ITEMS, 60), strict=True))
    met = sparse.csr_array(_met(pairs, 3))
    rate, days = rng.random((2, N_ITEMS)).astype(np.float32)
    shares = {"category": np.array([0.5, 0.25])}
    own = Snapshot(3, {"user": met}, rate, days, shares, {})
    named = NamedSnapshot(own, [f"i{n}" for n in range(N_ITEMS)], {"category": ["a", "b"]})
    codes = {f"i{n}": int(code) for n, code in enumerate(rng.permutation(N_ITEMS + 3)[:N_ITEMS])}
    moved = named.coded(codes, {"category": {"b": 0, "a": 2}})
    place = np.array([codes[name] for name in named.item_ids])
    np.testing.assert_array_equal(moved.repeat_rate[place], rate)
    np.testing.assert_array_equal(moved.repeat_days[place], days)
    dense = moved.together["user"].toarray()
    np.testing.assert_array_equal(dense[np.ix_(place, place)], met.toarray())
    np.testing.assert_array_equal(moved.shares["category"], [0.25, np.nan, 0.5])
    same = named.coded({f"i{n}": n for n in range(N_ITEMS)}, {"category": {"a": 0, "b": 1}})
    assert same.together is own.together
