from itertools import pairwise

import pytest

from serving.ranking import deadline
from serving.ranking.deadline import LADDER, MARGIN, Deadline, RungCosts


def learned() -> RungCosts:
    costs = RungCosts()
    costs.observe("full", 100, 8.0)
    costs.observe("no_text", 100, 2.0)
    return costs


@pytest.mark.parametrize(
    ("left_ms", "rung"),
    [
        (None, "full"),
        (MARGIN * 8.0, "full"),
        (MARGIN * 8.0 - 0.1, "no_text"),
        (MARGIN * 2.0, "no_text"),
        (MARGIN * 2.0 - 0.1, "given_order"),
        (-5.0, "given_order"),
    ],
)
def test_the_best_rung_that_fits_is_taken(left_ms: float | None, rung: str) -> None:
    assert learned().best_rung("full", 100, 0, left_ms) == rung


def test_less_time_never_gives_a_better_rung() -> None:
    rungs = [learned().best_rung("full", 100, 0, float(left)) for left in range(20, -1, -1)]
    places = [LADDER.index(rung) for rung in rungs]
    assert all(later >= earlier for earlier, later in pairwise(places))


@pytest.mark.parametrize("best", LADDER)
def test_a_rung_above_the_one_begun_with_is_never_taken(best: str) -> None:
    rung = learned().best_rung(best, 100, 0, 1000.0)  # type: ignore[arg-type]
    assert rung == best


def test_without_text_vectors_the_model_costs_the_same() -> None:
    costs = learned()
    assert costs.usual_ms("cached_text", 100, 0) == costs.usual_ms("full", 100, 0)


def test_larger_slates_than_ever_seen_are_expected_to_cost_more() -> None:
    costs = learned()
    assert costs.usual_ms("full", 400, 0) == 8.0 * 2**2
    assert costs.usual_ms("full", 10, 0) == 8.0


def test_a_size_never_seen_costs_by_the_nearest_that_was() -> None:
    costs = RungCosts()
    assert costs.usual_ms("full", 100, 0) == 0.0
    costs.observe("full", 16, 1.0)
    costs.observe("full", 1000, 20.0)
    assert costs.usual_ms("full", 500, 0) == 20.0
    assert costs.usual_ms("full", 32, 0) == 2.0
    assert costs.usual_ms("given_order", 100, 0) == 0.0


def test_the_usual_cost_follows_what_is_observed() -> None:
    costs = learned()
    for _ in range(100):
        costs.observe("full", 100, 4.0)
    assert costs.usual_ms("full", 100, 0) == pytest.approx(4.0, abs=0.01)
    assert costs.usual_ms("no_text", 100, 0) == 2.0


def test_a_rung_that_looked_dear_once_is_tried_again_in_the_end() -> None:
    costs = RungCosts()
    costs.observe("full", 100, 1000.0)
    costs.observe("no_text", 100, 1000.0)
    rungs = [costs.best_rung("full", 100, 0, 50.0) for _ in range(200)]
    assert rungs[0] == "given_order"
    assert rungs[-1] == "full"


def test_explanations_that_looked_dear_once_are_tried_again_in_the_end() -> None:
    costs = RungCosts()
    for rung in ("full", "no_text"):
        costs.observe(rung, 100, 1.0, 16, 1000.0)
    rungs = [costs.best_rung("full", 100, 16, 50.0) for _ in range(200)]
    assert rungs[0] == "given_order"
    assert rungs[-1] == "full"


def test_time_left_is_the_budget_less_what_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "perf_counter", lambda: 101.0)
    assert Deadline(100.0, 3000.0).spent_ms() == 1000.0
    assert Deadline(100.0, 3000.0).left_ms() == 3000.0 - 1000.0
    assert Deadline(100.0, 500.0).left_ms() == 500.0 - 1000.0
    assert Deadline(100.0, None).left_ms() is None


def test_explanations_cost_by_their_number_on_top_of_the_slate() -> None:
    costs = learned()
    costs.observe("full", 100, 8.0, 16, 32.0)
    assert costs.usual_ms("full", 100, 16) == 8.0 + 32.0
    assert costs.usual_ms("full", 100, 64) == 8.0 + 32.0 * 2**2
    assert costs.usual_ms("full", 100, 0) == 8.0
    costs.observe("full", 100, 8.0)
    assert costs.usual_ms("full", 100, 1) == 8.0 + 32.0
    assert costs.best_rung("full", 100, 16, MARGIN * 8.0) == "no_text"
