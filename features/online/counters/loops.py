"""Compiled loops over a counter table: adding events, reading the rows of a request."""

import numpy as np

from features.arrays.clock import DAY, NEVER
from features.arrays.compiled import compiled
from features.arrays.key_index import MISSING
from features.counter_spec import Measure

MEASURES: tuple[Measure, ...] = ("events", "log_price", "priced", "value")
PRICED = MEASURES.index("priced")


# Rows of the arrays that say where a kind's events are counted: plain arrays, since a named tuple
# costs more to hand over than one event to count.
COLUMN, MEASURE, START = range(3)
"""Of `windows`, int64 [3, m]: a window's column in the totals, what it adds up (a place in
`MEASURES`), and when it begins."""
TRACK, ONLY_PRICED = range(2)
"""Of `tracks`, int64 [2, t]: a pair of last and first times, and whether it is of priced events."""


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
    windows: np.ndarray,
    tracks: np.ndarray,
) -> None:
    """Add events of one kind to the windows they lie in, and to the last and first times.

    Args:
        totals: int64 [n, n_columns]; changed.
        ends: int64 [n, 2 * n_tracks]; changed.
        rows: int64 [n_events], row of each event.
        times: int64 [n_events], UTC microseconds.
        amounts: int64 [n_measures, n_events].
        windows: int64 [3, m], see `COLUMN`.
        tracks: int64 [2, t], see `TRACK`.
    """
    for event in range(len(rows)):
        count_one(totals, ends, rows[event], times[event], amounts[:, event], windows, tracks)


@compiled
def count_one(
    totals: np.ndarray,
    ends: np.ndarray,
    row: int,
    time: int,
    amounts: np.ndarray,
    windows: np.ndarray,
    tracks: np.ndarray,
) -> None:
    """Add one event of amounts int64 [n_measures], as `count` adds many."""
    for place in range(windows.shape[1]):
        if time >= windows[START, place]:
            totals[row, windows[COLUMN, place]] += amounts[windows[MEASURE, place]]
    for place in range(tracks.shape[1]):
        if tracks[ONLY_PRICED, place] and amounts[PRICED] == 0:
            continue
        last = 2 * tracks[TRACK, place]
        ends[row, last] = max(ends[row, last], time)
        ends[row, last + 1] = min(ends[row, last + 1], time)
