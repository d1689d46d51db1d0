"""The loops over a table of counters: adding events to its rows, and reading rows of a request."""

from typing import NamedTuple

import numpy as np

from features.catalogue import MISSING
from features.clock import DAY
from features.compiled import compiled
from features.counters import Measure

NEVER = 1 << 62
"""Stands for no event: as time of the first one, and negative as that of the last one."""
MEASURES: tuple[Measure, ...] = ("events", "log_price", "priced", "value")
PRICED = MEASURES.index("priced")


class Layout(NamedTuple):
    """Where a kind's events are counted.

    Attributes:
        columns: int64 [m], the columns of its windows in the totals.
        measures: int64 [m], what each adds up, by place in `MEASURES`.
        tracks: int64 [t], its pairs of last and first times.
        priced: bool [t], whether a track is of priced events only.
    """

    columns: np.ndarray
    measures: np.ndarray
    tracks: np.ndarray
    priced: np.ndarray


@compiled
def read_rows(
    totals: np.ndarray,
    ends: np.ndarray,
    rows: np.ndarray,
    codes: np.ndarray,
    moment: int,
    n_rows: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Give rows of a table as `CounterTable.read` does.

    Args:
        totals: int64 [n, n_columns].
        ends: int64 [n, 2 * n_tracks].
        rows: int64 [n_rows], or [1] for one that all share.
        codes: int64, of the same length; `MISSING` where a key has a null part.
        moment: UTC microseconds.
        n_rows: Number of rows.

    Returns:
        Totals and days, float64, by column, then row.
    """
    counts = np.empty((totals.shape[1], n_rows))
    since = np.empty((ends.shape[1], n_rows))
    for place in range(n_rows):
        at = place if len(rows) == n_rows else 0
        row, is_missing = rows[at], codes[at] == MISSING
        for column in range(totals.shape[1]):
            counts[column, place] = np.nan if is_missing else np.float64(totals[row, column])
        for column in range(ends.shape[1]):
            end = ends[row, column]
            never = end >= NEVER or end <= -NEVER
            since[column, place] = np.nan if never else (moment - end) / DAY
    return counts, since


@compiled
def count(
    totals: np.ndarray,
    ends: np.ndarray,
    rows: np.ndarray,
    times: np.ndarray,
    amounts: np.ndarray,
    starts: np.ndarray,
    layout: Layout,
) -> None:
    """Add events to the windows they lie in, and to the last and first times.

    Args:
        totals: int64 [n, n_columns]; changed.
        ends: int64 [n, 2 * n_tracks]; changed.
        rows: int64 [n_events], row of each event.
        times: int64 [n_events], UTC microseconds.
        amounts: int64 [n_measures, n_events].
        starts: int64 [m], where the window of each column begins.
        layout: Where events of this kind are counted.
    """
    for event in range(len(rows)):
        count_one(totals, ends, rows[event], times[event], amounts[:, event], starts, layout)


@compiled
def count_one(
    totals: np.ndarray,
    ends: np.ndarray,
    row: int,
    time: int,
    amounts: np.ndarray,
    starts: np.ndarray,
    layout: Layout,
) -> None:
    """Add one event of amounts int64 [n_measures], as `count` adds many."""
    for place in range(len(starts)):
        if time >= starts[place]:
            totals[row, layout.columns[place]] += amounts[layout.measures[place]]
    for place in range(len(layout.tracks)):
        if layout.priced[place] and amounts[PRICED] == 0:
            continue
        last = 2 * layout.tracks[place]
        ends[row, last] = max(ends[row, last], time)
        ends[row, last + 1] = min(ends[row, last + 1], time)
