"""The end of a log: what lies beyond it is data of the future, which nobody can know yet."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import polars as pl

from data_contracts.events import Impressions, Interactions
from features.arrays.clock import DAY, instant

AHEAD = DAY
"""How far an event may be dated ahead of its arrival, or be known ahead of now, in microseconds: a
clock in a wrong time zone is, by 14 hours at the most."""


def log_end(impressions: pl.LazyFrame, window: int, now: int) -> int:
    """Decide where a log ends: one attribution window after its last impression, or now.

    Impressions dated after now are no last ones: a single one, or a single interaction of the far
    future, would empty every window and history.

    Args:
        impressions: A table that keeps the contract of impressions.
        window: The attribution window, in microseconds.
        now: UTC microseconds.

    Returns:
        The first instant beyond the log, UTC microseconds; now when nothing was shown before it.
    """
    time = Impressions.timestamp.col.dt.timestamp("us").max()
    last = impressions.filter(shown_before(now)).select(time).collect().item()
    return now if last is None else min(now, last + window)


def shown_before(end: int) -> pl.Expr:
    """Filter on impressions: those of requests before a moment, UTC microseconds."""
    return Impressions.timestamp.col < instant(end)


def known_before(end: int) -> pl.Expr:
    """Filter on events: those that happened and were known before a log's end."""
    arrived = Interactions.ingested_at.col
    # What arrives at an instant is known from there on: `known_time` is the microsecond before.
    known = arrived.is_null() | (arrived <= instant(end))
    return (Interactions.timestamp.col < instant(end)) & known


def labelled_until(end: int, window: int) -> int:
    """First moment whose requests have no final labels: their window goes on beyond the end."""
    return end - window + 1


@dataclass(frozen=True)
class SetAside:
    """Rows of a log that features and labels leave out, and requests that have no labels yet.

    Attributes:
        late: Interactions that arrived too late.
        duplicates: Copies of interactions.
        ahead: Interactions from beyond the log's end, or dated too far ahead of their arrival.
        shown_ahead: Impressions from beyond the log's end.
        shown_late: Impressions that arrived too late, or were dated too far ahead of their arrival,
            to count as events; their rows are computed all the same.
        unlabelled: Requests whose attribution window is not over by the end; features have them.
    """

    late: int
    duplicates: int
    ahead: int
    shown_ahead: int
    shown_late: int
    unlabelled: int


@dataclass(frozen=True)
class Gap:
    """The longest run of days without events within a log.

    Attributes:
        after: Day number of the last day before it.
        before: Day number of the first day after it.
        rows_before: Rows of the log on this side of it.
        rows_after: Rows on the other side.
    """

    after: int
    before: int
    rows_before: int
    rows_after: int

    @property
    def days(self) -> int:
        """Days without any row."""
        return self.before - self.after - 1

    @property
    def strays(self) -> int:
        """Rows on the side that has fewer: of a wrong date, if they are few and the gap is long."""
        return min(self.rows_before, self.rows_after)


def longest_gap(rows_by_day: Mapping[int, int]) -> Gap | None:
    """Find the longest run of days without rows, the last one of equal ones.

    Args:
        rows_by_day: Rows of each day that has any, by day number.

    Returns:
        The gap; None when no day between two others is without rows.
    """
    days = sorted(rows_by_day)
    after, before = max(pairwise(days), key=lambda pair: (pair[1] - pair[0], pair), default=(0, 0))
    if before - after < 2:
        return None
    early = sum(rows for day, rows in rows_by_day.items() if day <= after)
    return Gap(after, before, early, sum(rows_by_day.values()) - early)
