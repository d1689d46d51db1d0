"""Time in features: UTC microseconds, days since 1970-01-01, and windows.

Windows are *sawtooth windows*: the head is exact to the microsecond, the tail moves in steps of a
tile, an hour or a day. So a window of 7 days holds between 7 days and 7 days and one hour.
"""

from functools import lru_cache
from time import time_ns

import numpy as np
import polars as pl

from features.arrays.compiled import compiled

HOUR = 3_600_000_000
DAY = 24 * HOUR
NO_TIME = np.iinfo(np.int64).min
NEVER = 1 << 62
"""Stands for a time that never comes, and negative for one that never was."""
HOURLY_WINDOW_DAYS = 7
"""Windows of up to so many days begin at a full hour, longer ones at midnight UTC."""


def present() -> int:
    """Present moment by this machine's clock, UTC microseconds."""
    return time_ns() // 1000


def instant(time: int) -> pl.Expr:
    """Literal of a moment, from UTC microseconds, that a column of times is compared with.

    Compared so, Parquet passes by the row groups that lie elsewhere.
    """
    return pl.lit(time).cast(pl.Datetime("us", "UTC"))


def day_name(day: int) -> str:
    """Name a day in paths: 2024-02-29."""
    return str(np.datetime64(day, "D"))


def day_number(name: str) -> int:
    """Day number, since 1970-01-01, of a name that `day_name` gave."""
    return int(np.datetime64(name, "D").astype(np.int64))


def tile_length(days: int) -> int:
    """Step in which a window of so many days moves its beginning: an hour or a day, in us."""
    return HOUR if days <= HOURLY_WINDOW_DAYS else DAY


def window_start(time: np.ndarray, days: int) -> np.ndarray:
    """Give where a window that ends at `time` begins: `floor(time - window, tile)`.

    Args:
        time: int64, UTC microseconds.
        days: Length of the window, in days.

    Returns:
        int64, the first microsecond inside the window.
    """
    tile = tile_length(days)
    return (time - days * DAY) // tile * tile


def window_end(time: np.ndarray, days: int) -> np.ndarray:
    """First instant whose window of `days` no longer has an event of `time`, int64."""
    tile = tile_length(days)
    return time // tile * tile + tile + days * DAY


def days_since(now: np.ndarray, then: np.ndarray) -> np.ndarray:
    """Days from `then` to `now`, float64; NaN where `then` is `NO_TIME`."""
    return _days_since(now, then)


@compiled
def _days_since(now: np.ndarray, then: np.ndarray) -> np.ndarray:
    since = np.empty(len(then))
    for n in range(len(then)):
        since[n] = np.nan if then[n] == NO_TIME else (now[n] - then[n]) / DAY
    return since


_QUARTER = 900_000_000
"""Offsets from UTC are whole quarters of an hour everywhere since 1972, in microseconds."""


def local_hours_and_weekdays(time: np.ndarray, timezone: str) -> tuple[np.ndarray, np.ndarray]:
    """Hour (0..23) and weekday (0 is Monday) of instants in a time zone.

    Args:
        time: int64 [n], UTC microseconds.
        timezone: IANA name.

    Returns:
        Two float64 [n].
    """
    if len(time) == 1:
        hour, weekday = _of_quarter(int(time[0]) // _QUARTER, timezone)
        return np.full(1, hour), np.full(1, weekday)
    return _convert(time, timezone)


@lru_cache(maxsize=1024)
def _of_quarter(quarter: int, timezone: str) -> tuple[float, float]:
    hours, weekdays = _convert(np.array([quarter * _QUARTER]), timezone)
    return float(hours[0]), float(weekdays[0])


def _convert(time: np.ndarray, timezone: str) -> tuple[np.ndarray, np.ndarray]:
    local = (
        pl.Series(time, dtype=pl.Int64)
        .cast(pl.Datetime("us"))
        .dt.replace_time_zone("UTC")
        .dt.convert_time_zone(timezone)
    )
    return (
        local.dt.hour().cast(pl.Float64).to_numpy(),
        (local.dt.weekday() - 1).cast(pl.Float64).to_numpy(),
    )
