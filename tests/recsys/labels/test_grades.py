from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.events import Impressions, Interactions
from recsys.labels.grades import LabelSettings, grade_impressions
from tests.worlds import table

START = datetime(2025, 3, 1, tzinfo=UTC)
WINDOW = timedelta(hours=24)
MICROSECOND = timedelta(microseconds=1)
SETTINGS = LabelSettings()


@dataclass(frozen=True)
class Shown:
    """One impression."""

    request: str
    item: str = "a"
    user: str | None = "u"
    session: str | None = None
    time: datetime = START


@dataclass(frozen=True)
class Done:
    """One interaction."""

    kind: str
    after: timedelta
    item: str = "a"
    user: str | None = "u"
    session: str | None = None
    request: str | None = None


def grades(
    shown: Sequence[Shown], done: Sequence[Done], settings: LabelSettings = SETTINGS
) -> list[int]:
    impressions = table(
        {
            Impressions.request_id.name: [row.request for row in shown],
            Impressions.item_id.name: [row.item for row in shown],
            Impressions.user_id.name: [row.user for row in shown],
            Impressions.session_id.name: [row.session for row in shown],
            Impressions.timestamp.name: [row.time for row in shown],
        },
        Impressions.create_empty().schema,
    )
    interactions = table(
        {
            Interactions.event_id.name: [f"e{place}" for place in range(len(done))],
            Interactions.kind.name: [row.kind for row in done],
            Interactions.item_id.name: [row.item for row in done],
            Interactions.user_id.name: [row.user for row in done],
            Interactions.session_id.name: [row.session for row in done],
            Interactions.request_id.name: [row.request for row in done],
            Interactions.timestamp.name: [START + row.after for row in done],
        },
        Interactions.create_empty().schema,
    )
    found = grade_impressions(impressions, interactions.lazy(), settings)
    assert found.dtype == np.uint8
    return found.tolist()


HOUR = timedelta(hours=1)


@pytest.mark.parametrize("request_id", ["r", None])
def test_the_highest_grade_counts_whatever_came_last(request_id: str | None) -> None:
    done = [
        Done(kind, place * HOUR, request=request_id)
        for place, kind in enumerate(["click", "purchase", "click"])
    ]
    assert grades([Shown("r")], done) == [3]
    assert grades([Shown("r")], done[::-1]) == [3]
    assert grades([Shown("r")], done[:1]) == [1]
    assert grades([Shown("r")], []) == [0]


@pytest.mark.parametrize("request_id", ["r", None])
@pytest.mark.parametrize(
    ("after", "grade"),
    [
        (-MICROSECOND, 0),
        (timedelta(0), 1),
        (WINDOW - MICROSECOND, 1),
        (WINDOW, 0),
        (WINDOW + MICROSECOND, 0),
    ],
)
def test_the_window_is_half_open(request_id: str | None, after: timedelta, grade: int) -> None:
    assert grades([Shown("r")], [Done("click", after, request=request_id)]) == [grade]


def test_a_named_request_is_labelled_even_when_a_later_one_showed_the_item_too() -> None:
    shown = [Shown("first"), Shown("second", time=START + HOUR)]
    assert grades(shown, [Done("click", 2 * HOUR, request="first")]) == [1, 0]
    assert grades(shown, [Done("click", 2 * HOUR)]) == [0, 1]
    assert grades(shown, [Done("click", HOUR / 2)]) == [1, 0]
    assert grades(shown[::-1], [Done("click", 2 * HOUR)]) == [1, 0]


def test_a_named_request_needs_no_user_and_an_unknown_one_labels_nothing() -> None:
    done = [Done("click", HOUR, user="someone else", request="r")]
    assert grades([Shown("r", user=None)], done) == [1]
    assert grades([Shown("r")], [Done("click", HOUR, request="elsewhere")]) == [0]


def test_without_a_request_the_user_and_without_a_user_the_session_decides() -> None:
    shown = [
        Shown("mine", user="u", session="s"),
        Shown("other", user="v", session="t"),
        Shown("guest", user=None, session="g"),
    ]
    assert grades(shown, [Done("click", HOUR, user="v")]) == [0, 1, 0]
    assert grades(shown, [Done("click", HOUR, user=None, session="g")]) == [0, 0, 1]
    assert grades(shown, [Done("click", HOUR, user=None, session="s")]) == [1, 0, 0]
    assert grades(shown, [Done("click", HOUR, user="w", session="s")]) == [0, 0, 0]
    assert grades(shown, [Done("click", HOUR, user=None)]) == [0, 0, 0]


def test_items_that_were_not_shown_and_kinds_without_a_grade_label_nothing() -> None:
    assert grades([Shown("r")], [Done("click", HOUR, item="b"), Done("wish", HOUR)]) == [0]


@pytest.mark.parametrize(
    "wrong", [{"grades": {"click": 4}}, {"grades": {"click": 0}}, {"label_gain": (0, 1)}]
)
def test_every_grade_needs_a_gain(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="need grades of at least 1"):
        LabelSettings.model_validate(wrong)


def by_hand(shown: Sequence[Shown], done: Sequence[Done]) -> list[int]:
    """Grade one interaction after the other."""
    found = [0] * len(shown)
    for event in done:
        time = START + event.after
        grade = SETTINGS.grades.get(event.kind, 0)
        places = [place for place, row in enumerate(shown) if row.item == event.item]
        if event.request is not None:
            places = [place for place in places if shown[place].request == event.request]
        else:
            if event.user is not None:
                places = [place for place in places if shown[place].user == event.user]
            else:
                places = [
                    place
                    for place in places
                    if event.session is not None and shown[place].session == event.session
                ]
            places = [place for place in places if shown[place].time <= time]
            places = sorted(places, key=lambda place: shown[place].time)[-1:]
        for place in places:
            if timedelta(0) <= time - shown[place].time < WINDOW:
                found[place] = max(found[place], grade)
    return found


_AFTER = st.sampled_from([n * WINDOW / 4 for n in range(-1, 9)])
_USER = st.sampled_from([None, "u", "v"])
_SESSION = st.sampled_from([None, "s"])
_DONE = st.builds(
    Done,
    st.sampled_from(["click", "cart", "purchase", "wish"]),
    _AFTER,
    st.sampled_from(["a", "b"]),
    _USER,
    _SESSION,
    st.sampled_from([None, None, "r0", "r1", "gone"]),
)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(_USER, _SESSION), min_size=1, max_size=4),
    st.lists(_DONE, max_size=8),
    st.permutations(range(4)),
)
def test_grades_are_those_found_one_by_one(
    requests: list[tuple[str | None, str | None]], done: list[Done], order: list[int]
) -> None:
    shown = [
        Shown(f"r{place}", item, user, session, START + order[place] * WINDOW / 4)
        for place, (user, session) in enumerate(requests)
        for item in ("a", "b")
    ]
    assert grades(shown, done) == by_hand(shown, done)


def test_the_rows_may_stand_in_any_order() -> None:
    shown = [Shown(f"r{n}", item, time=START + n * HOUR) for n in range(5) for item in ("a", "b")]
    done = [Done("click", 2 * HOUR), Done("purchase", 4 * HOUR, item="b", request="r1")]
    order = np.random.default_rng(0).permutation(len(shown))
    expected = np.array(grades(shown, done))[order].tolist()
    assert grades([shown[place] for place in order], done) == expected
