import math

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from recsys.datasets.sampling import (
    SalesWindow,
    as_impressions,
    draw_uniform,
    draw_weighted,
    slate_generator,
)

DRAWS = 4000


def within(count: int, probability: float) -> bool:
    """Whether a share of the draws is within five standard errors of its probability."""
    error = math.sqrt(probability * (1 - probability) / DRAWS)
    return abs(count / DRAWS - probability) < 5 * error


@given(st.integers(0, 30), st.integers(0, 30))
def test_uniform_draws_are_different_and_as_many_as_there_are(n: int, size: int) -> None:
    drawn = draw_uniform(np.random.default_rng(0), np.arange(100, 100 + n), size)
    assert len(drawn) == len(set(drawn)) == min(n, size)
    assert set(drawn) <= set(range(100, 100 + n))


def test_uniform_draws_are_equally_likely() -> None:
    rng = np.random.default_rng(1)
    drawn = np.concatenate([draw_uniform(rng, np.arange(5), 2) for _ in range(DRAWS)])
    assert all(within(count, 2 / 5) for count in np.bincount(drawn, minlength=5))


@given(st.lists(st.integers(0, 3), max_size=30), st.integers(0, 30))
def test_weighted_draws_leave_out_what_weighs_nothing(weights: list[int], size: int) -> None:
    rng = np.random.default_rng(0)
    drawn = draw_weighted(rng, np.arange(len(weights)), np.array(weights, dtype=np.int64), size)
    possible = {i for i, weight in enumerate(weights) if weight > 0}
    assert len(drawn) == len(set(drawn)) == min(size, len(possible))
    assert set(drawn) <= possible


def test_weighted_draws_follow_the_weights() -> None:
    rng = np.random.default_rng(2)
    weights = np.array([1, 2, 5])
    pairs = [frozenset(draw_weighted(rng, np.arange(3), weights, 2)) for _ in range(DRAWS)]
    # First i, then j among the rest, or the other way round.
    first_two = 1 / 8 * 2 / 7 + 2 / 8 * 1 / 6
    last_two = 2 / 8 * 5 / 6 + 5 / 8 * 2 / 3
    assert within(pairs.count(frozenset({0, 1})), first_two)
    assert within(pairs.count(frozenset({1, 2})), last_two)


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 3)), max_size=40),
    st.lists(st.integers(0, 70), max_size=10),
    st.integers(1, 30),
)
def test_a_window_counts_what_lies_in_it(
    sales: list[tuple[int, int]], moments: list[int], length: int
) -> None:
    sales = sorted(sales)
    times = np.array([time for time, _ in sales], dtype=np.int64)
    items = np.array([item for _, item in sales], dtype=np.int64)
    window = SalesWindow(times, items, 4, length)
    for moment in sorted(moments):
        expected = [
            sum(moment - length <= time < moment and sold == item for time, sold in sales)
            for item in range(4)
        ]
        assert window.before(moment).tolist() == expected


def test_a_slate_has_its_own_random_numbers() -> None:
    first = slate_generator(0, "a").random(3)
    assert (slate_generator(0, "a").random(3) == first).all()
    assert (slate_generator(0, "b").random(3) != first).all()
    assert (slate_generator(1, "a").random(3) != first).all()


def test_slates_are_laid_out_in_their_order() -> None:
    requests = pl.DataFrame({"request_id": ["r", "s"], "user_id": ["u", "v"]})
    slates = [np.array([2, 0]), np.array([1, 0, 2])]
    frame = as_impressions(requests, slates, pl.Series(["a", "b", "c"]))
    assert frame.rows() == [
        ("r", "u", "c", 1),
        ("r", "u", "a", 2),
        ("s", "v", "b", 1),
        ("s", "v", "a", 2),
        ("s", "v", "c", 3),
    ]
