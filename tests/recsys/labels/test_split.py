from datetime import UTC, datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.errors import LeakError
from recsys.labels.split import Period, Periods, SplitSettings, periods, require_time_forward

START = datetime(2025, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SECOND = 1_000_000


def moments(split: Periods) -> list[Period]:
    return [split.text, split.ranker, split.validation, split.test]


def held(period: Period, times: list[datetime]) -> set[datetime]:
    """Give those of some times that a period contains."""
    frame = pl.DataFrame({"time": times}).filter(period.contains(pl.col("time")))
    return set(frame["time"].to_list())


def splits(hours: float) -> st.SearchStrategy[Periods]:
    ends = st.lists(st.integers(1, 60), min_size=4, max_size=4, unique=True).map(sorted)
    return st.builds(
        lambda days, open_end: periods(
            SplitSettings(
                text_end=START + days[0] * DAY,
                ranker_end=START + days[1] * DAY,
                validation_end=START + days[2] * DAY,
                test_end=None if open_end else START + days[3] * DAY,
            ),
            hours,
        ),
        ends,
        st.booleans(),
    )


@given(splits(30.0))
def test_periods_and_the_gaps_between_them_are_the_whole_log(split: Periods) -> None:
    times = [START + n * timedelta(hours=7) for n in range(240)]
    inside = [held(period, times) for period in moments(split)]
    gap = timedelta(hours=30)
    ends = [split.text.end, split.ranker.end, split.validation.end]
    for time in times:
        purged = any(end is not None and end <= time < end + gap for end in ends)
        after = split.test.end is not None and time >= split.test.end
        assert sum(time in column for column in inside) == (0 if purged or after else 1)


def test_a_period_begins_one_window_after_the_one_before_and_ends_where_it_is_told() -> None:
    ends = [START + n * DAY for n in (10, 20, 30, 40)]
    names = ("text_end", "ranker_end", "validation_end", "test_end")
    settings = SplitSettings.model_validate(dict(zip(names, ends, strict=True)))
    assert moments(periods(settings, 6.0)) == [
        Period(None, ends[0]),
        *(Period(earlier + DAY / 4, later) for earlier, later in pairwise(ends)),
    ]


@given(splits(24.0))
def test_every_label_of_a_period_is_decided_before_the_next_begins(split: Periods) -> None:
    window = timedelta(hours=24)
    for earlier, later in zip(moments(split), moments(split)[1:], strict=False):
        assert earlier.end is not None
        assert later.start is not None
        last_request = earlier.end - timedelta(microseconds=1)
        assert last_request + window < later.start


def test_edges_are_half_open() -> None:
    period = Period(START, START + DAY)
    inside = [START, START + DAY - timedelta(microseconds=1)]
    outside = [START - timedelta(microseconds=1), START + DAY]
    assert held(period, inside + outside) == set(inside)


def test_a_period_ends_later_or_earlier_but_one_without_an_end_stays_open() -> None:
    period, open_end = Period(START, START + DAY), Period(START, None)
    assert period.extended(DAY) == Period(START, START + 2 * DAY)
    assert open_end.extended(DAY) == open_end
    assert period.until(START + 2 * DAY) == period
    assert period.until(START + DAY / 2) == Period(START, START + DAY / 2)
    assert open_end.until(START + DAY) == period


def test_a_period_says_what_it_is() -> None:
    assert str(Period(None, START)) == "from the beginning to 2025-01-01 00:00"
    assert str(Period(START, None)) == "from 2025-01-01 00:00 to the end"


@pytest.mark.parametrize("swap", [(0, 1), (1, 2), (2, 3)])
def test_moments_out_of_order_are_refused(swap: tuple[int, int]) -> None:
    ends = [START + n * DAY for n in range(4)]
    ends[swap[0]], ends[swap[1]] = ends[swap[1]], ends[swap[0]]
    names = ("text_end", "ranker_end", "validation_end", "test_end")
    with pytest.raises(ValueError, match="need text_end < ranker_end"):
        SplitSettings.model_validate(dict(zip(names, ends, strict=True)))


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="timezone"):
        SplitSettings.model_validate(
            {
                "text_end": START.replace(tzinfo=None),
                "ranker_end": START + DAY,
                "validation_end": START + 2 * DAY,
            }
        )


def test_a_model_must_not_have_seen_what_it_scores() -> None:
    first = int(START.timestamp()) * SECOND
    require_time_forward(first, first)
    with pytest.raises(LeakError) as refusal:
        require_time_forward(first + SECOND, first)
    assert "2025-01-01 00:00:01 UTC" in refusal.value.found
    assert "2025-01-01 00:00:00 UTC" in refusal.value.found
    assert "before the first request" in refusal.value.expected
    assert "`recsys train`" in refusal.value.action
