"""Which impression leads to an interaction, case by case; random logs are in test_values."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest

from features.arrays.clock import HOUR
from features.arrays.key_index import MISSING
from features.log.attribution.index import NO_SLATES, Attributed, ImpressionIndex, Slates
from features.log.attribution.loops import Taken

WINDOW = 24 * HOUR
NOW = 1000 * HOUR
USER, OTHER, SESSION = 7, 8, 9


class Shown(NamedTuple):
    """One slate of a request of its own."""

    time: int
    request: int
    user: int = USER
    items: Sequence[int] = (1, 2)
    late: int = 0
    session: int = SESSION


class Click(NamedTuple):
    """One interaction."""

    time: int
    code: int = USER
    item: int = 1
    late: int = 0
    kind: int = 0


def slates(shown: Sequence[Shown]) -> Slates:
    """Lay slates out; the hash of a request is 100 and its number."""
    codes = [(100 + each.request, each.user, each.session) for each in shown]
    return Slates(
        np.array(codes, np.int64).reshape(-1, 3),
        np.array([each.time for each in shown], np.int64),
        np.array([each.time + each.late for each in shown], np.int64),
        np.array([each.request for each in shown], np.int32),
        np.cumsum([0, *(len(each.items) for each in shown)]),
        np.array([item for each in shown for item in each.items], np.int32),
    )


def taken(clicks: Sequence[Click]) -> Taken:
    columns = [(c.code, c.time, c.time + c.late, c.item, c.kind) for c in clicks]
    return Taken(*np.array(columns, np.int64).reshape(-1, 5).T.copy())


def led(found: Attributed) -> list[tuple[int, int]]:
    """Give the requests, which the tests have as users, and when both were known."""
    return list(zip(found.user.tolist(), found.known.tolist(), strict=True))


def decided(shown: Sequence[Shown], clicks: Sequence[Click]) -> list[tuple[int, int]]:
    return led(ImpressionIndex(WINDOW).decide(slates(shown), taken(clicks), NOW + 9 * WINDOW))


@pytest.mark.parametrize(
    ("after", "late", "is_led"),
    [
        (-1, 0, False),
        (0, 0, True),
        (WINDOW - 1, 0, True),
        (WINDOW, 0, False),
        (HOUR, WINDOW - HOUR - 1, True),
        (HOUR, WINDOW - HOUR, False),
    ],
)
def test_an_impression_leads_to_what_is_known_within_a_window(
    after: int, late: int, is_led: bool
) -> None:
    found = decided([Shown(NOW, 1)], [Click(NOW + after, late=late)])
    assert found == ([(1, NOW + after + late)] if is_led else [])


def test_a_named_request_leads_although_a_later_one_has_the_item_too() -> None:
    shown = [Shown(NOW, 1), Shown(NOW + 5, 2)]
    assert decided(shown, [Click(NOW + 9, code=101)]) == [(1, NOW + 9)]
    assert decided(shown, [Click(NOW + 9)]) == [(2, NOW + 9)]
    assert decided(shown, [Click(NOW + 9, code=SESSION)]) == [(2, NOW + 9)]
    assert decided(shown, [Click(NOW + 9, code=103)]) == []
    assert decided(shown, [Click(NOW + 9, code=OTHER)]) == []
    assert decided(shown, [Click(NOW + 9, code=MISSING)]) == []
    assert decided(shown, [Click(NOW + 9, item=3)]) == []


def test_an_impression_leads_to_each_kind_once() -> None:
    clicks = [Click(NOW + 1), Click(NOW + 2), Click(NOW + 3, kind=62), Click(NOW + 4, item=2)]
    found = ImpressionIndex(WINDOW).decide(slates([Shown(NOW, 1)]), taken(clicks), NOW + 5)
    assert found.kind.tolist() == [0, 62, 0]
    assert found.item.tolist() == [1, 1, 2]
    assert found.time.tolist() == [NOW] * 3


def test_what_waits_goes_with_the_first_impression_that_becomes_known() -> None:
    shown = [Shown(NOW + 1, 1, late=50), Shown(NOW + 2, 2, late=60), Shown(NOW - 9, 3, late=40)]
    in_order = sorted(shown, key=lambda each: each.time + each.late)
    assert decided(in_order, [Click(NOW + 5)]) == [(3, NOW + 31)]
    assert decided(in_order[1:], [Click(NOW + 5)]) == [(1, NOW + 51)]
    # What is known already goes before what is shown later.
    on_time = Shown(NOW - 20, 4)
    assert decided([on_time, *in_order], [Click(NOW + 5)]) == [(4, NOW + 5)]


def test_of_equal_times_the_one_known_first_leads() -> None:
    shown = [Shown(NOW, 2, late=1), Shown(NOW, 1, late=2)]
    assert decided(shown, [Click(NOW + 9)]) == [(2, NOW + 9)]


@pytest.mark.parametrize("step", [HOUR, WINDOW // 2, WINDOW - 1, WINDOW])
def test_nothing_within_a_window_is_forgotten_however_the_clock_goes(step: int) -> None:
    index = ImpressionIndex(WINDOW)
    clock = NOW + 1
    assert led(index.decide(slates([Shown(NOW, 1)]), taken([Click(NOW, code=102)]), clock)) == []
    while clock + step < NOW + WINDOW:
        clock += step
        index.decide(NO_SLATES, taken([]), clock)
        index = ImpressionIndex.laid_in(WINDOW, index.laid_out())
    last = NOW + WINDOW - 1
    late = [Shown(NOW - 1, 3, late=WINDOW - 1), Shown(NOW, 2, late=WINDOW - 1)]
    assert index.users_before(NOW + 1) == {1}
    assert led(index.decide(slates(late), taken([Click(last)]), last + 1)) == [(2, last), (1, last)]
    for clock in (last + WINDOW, last + 2 * WINDOW):
        index.decide(NO_SLATES, taken([]), clock)
    assert index.users_before(clock) == set()
