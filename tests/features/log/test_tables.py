"""What the log sets aside, and what it says of each event."""

from collections import Counter
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.errors import DataError
from features.arrays.clock import DAY, HOUR
from features.log.events import SESSION
from features.log.tables import EncodedInteractions, encode_interactions
from tests.features.oracle import Oracle
from tests.features.worlds import (
    EVENTS,
    FIRST,
    ITEM_IDS,
    KINDS,
    SETTINGS,
    Event,
    World,
    interactions_table,
)

LATE_DAYS = SETTINGS.late_days
CLICK = Event("e", "click", "u0", "i0", None, FIRST + 5 * DAY)


def _taken(events: list[Event]) -> EncodedInteractions:
    items, users = pl.Series(ITEM_IDS[:-1]), pl.Series(["u0", "u1", "u2"])
    return encode_interactions(interactions_table(events), items, users, KINDS, LATE_DAYS)


@settings(max_examples=50)
@given(st.lists(EVENTS, max_size=40))
def test_every_interaction_is_an_event_or_counted(events: list[Event]) -> None:
    taken = _taken(events)
    of_kinds = [event for event in events if event.kind in KINDS]
    too_late = [event for event in of_kinds if event.late > LATE_DAYS * DAY]
    interactions = taken.events.take(np.flatnonzero(taken.events.kind < len(KINDS)))
    assert taken.late == len(too_late)
    assert taken.ahead == sum(event.late < -DAY for event in of_kinds)
    left_out = taken.late + taken.ahead + taken.duplicates
    assert len(interactions) + left_out == len(of_kinds)
    assert (np.diff(taken.events.known) >= 0).all()


@settings(max_examples=50)
@given(st.lists(EVENTS, max_size=40))
def test_events_are_those_of_the_oracle(events: list[Event]) -> None:
    found = _taken(events).events
    names = (*KINDS, SESSION)
    expected = Counter(
        (known.time, known.known, known.kind)
        for known in Oracle(World(events, []), SETTINGS).events()
    )
    kinds = [names[place] for place in found.kind.tolist()]
    assert Counter(zip(found.time.tolist(), found.known.tolist(), kinds, strict=True)) == expected


def test_the_copy_of_a_day_that_was_known_first_counts() -> None:
    day_before = replace(CLICK, time=CLICK.time - 1)
    both = _taken([day_before, CLICK])
    assert both.events.of_kind("click").time.tolist() == [CLICK.time - 1, CLICK.time]
    assert both.duplicates == 0
    same_day = replace(CLICK, time=CLICK.time + HOUR, late=HOUR)
    taken = _taken([same_day, CLICK])
    assert taken.events.of_kind("click").time.tolist() == [CLICK.time]
    assert taken.duplicates == 1
    later_known = replace(CLICK, late=4 * HOUR)
    assert _taken([later_known, same_day]).events.of_kind("click").time.tolist() == [same_day.time]


@pytest.mark.parametrize(
    "other",
    [replace(CLICK, kind="purchase"), replace(CLICK, item="i1"), replace(CLICK, user="u1")],
)
def test_events_that_share_an_id_on_a_day_are_refused(other: Event) -> None:
    other = replace(other, time=CLICK.time + HOUR)
    with pytest.raises(DataError, match="1 interactions with the event_id of another") as refusal:
        _taken([other, CLICK])
    assert "order" in refusal.value.action
    on_another_day = replace(other, time=CLICK.time + DAY)
    assert _taken([on_another_day, CLICK]).duplicates == 0


@pytest.mark.parametrize("guest_first", [True, False])
def test_a_copy_may_know_the_user_that_the_first_did_not(guest_first: bool) -> None:
    guest = replace(CLICK, user=None, late=0 if guest_first else HOUR)
    known = replace(CLICK, late=HOUR - guest.late)
    assert _taken([guest, known]).duplicates == 1


def test_values_are_exact_in_millionths() -> None:
    table = interactions_table([CLICK, replace(CLICK, event_id="f"), replace(CLICK, event_id="g")])
    valued = table.with_columns(value=pl.Series([0.1, None, float("inf")]))
    users = pl.Series(["u0"])
    events = encode_interactions(valued, pl.Series(["i0"]), users, KINDS, LATE_DAYS).events
    assert events.of_kind("click").value.tolist() == [100_000, 0, 0]
