"""What the clock on the wall says where the users live."""

from functools import lru_cache

import numpy as np
import polars as pl

_QUARTER = 900_000_000
"""Offsets from UTC are whole quarters of an hour everywhere since 1972, in microseconds."""


def local_hours_and_weekdays(time: np.ndarray, timezone: str) -> tuple[np.ndarray, np.ndarray]:
    """Give the hour (0..23) and weekday (0 is Monday) of instants in a time zone.

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
