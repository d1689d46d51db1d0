"""The counters of the baselines against the definition of a window, on generated logs."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.features.feast_tables import AT, Count, view_table, views
from benchmarks.features.plain_loop import Event, Row, Scan, Window, plain_rows
from features.arrays.clock import DAY, HOUR
from features.counter_spec import EVER

COUNTS = (
    Count(("item",), "click", 1),
    Count(("item",), "buy", 2),
    Count(("user",), "click", 9),
    Count(("user", "item"), "click", 2),
    Count(("user", "item"), "buy", EVER),
)
TIMES = st.integers(0, 30).flatmap(
    lambda half_days: st.sampled_from((0, 1, HOUR, HOUR - 1)).map(
        lambda rest: half_days * DAY // 2 + rest
    )
)
USERS = st.one_of(st.none(), st.integers(0, 2))
ITEMS = st.integers(0, 2)
LOGS = st.lists(st.tuples(TIMES, USERS, ITEMS, st.sampled_from(("click", "buy"))), max_size=25)
ROWS = st.lists(st.tuples(TIMES, USERS, ITEMS), min_size=1, max_size=12)


def expected(row: Row, events: list[Event], count: Count) -> int:
    time, user, item = row
    if "user" in count.key and user is None:
        return 0
    tile = HOUR if count.days <= 7 else DAY
    start = (time - count.days * DAY) // tile * tile if count.days else 0
    return sum(
        start <= when < time
        and kind == count.events
        and ("user" not in count.key or who == user)
        and ("item" not in count.key or what == item)
        for when, who, what, kind in events
    )


@pytest.mark.parametrize("counter", [Window, Scan])
@settings(max_examples=40)
@given(rows=ROWS, events=LOGS)
def test_the_loops_count_as_the_definition_says(
    counter: type[Window], rows: list[Row], events: list[Event]
) -> None:
    rows.sort(key=lambda row: row[0])
    events.sort(key=lambda event: event[0])
    for row, values in zip(rows, plain_rows(rows, events, COUNTS, counter), strict=True):
        assert values == {count.name: expected(row, events, count) for count in COUNTS}


@pytest.mark.parametrize("daily", [False, True])
@settings(max_examples=40)
@given(rows=ROWS, events=LOGS)
def test_the_last_row_of_a_key_is_what_the_definition_says(
    daily: bool, rows: list[Row], events: list[Event]
) -> None:
    schema = {"time": pl.Int64, "user": pl.Int64, "item": pl.Int64, "events": pl.String}
    log = pl.DataFrame(events, schema, orient="row")
    until = max(row[0] for row in rows) + 1
    for counts in views(COUNTS).values():
        table = view_table(log, counts, until, daily=daily)
        assert table.select(*counts[0].key, AT).is_unique().all()
        for row in rows:
            asked = {"user": row[1], "item": row[2]}
            if any(asked[part] is None for part in counts[0].key):
                continue
            at = pl.col(AT).dt.timestamp("us")
            known = at <= row[0]
            if daily:
                known &= at + DAY >= row[0]
            mine = [pl.col(part) == asked[part] for part in counts[0].key]
            last = table.filter(known, *mine).sort(AT).tail(1)
            for count in counts:
                value = last[count.name].item() if last.height else 0
                assert value == expected(row, events, count)
