"""What the clock on the wall says where the users live."""

import numpy as np
import polars as pl


def local_hours_and_weekdays(time: np.ndarray, timezone: str) -> tuple[np.ndarray, np.ndarray]:
    """Give the hour (0..23) and weekday (0 is Monday) of instants in a time zone.

    Args:
        time: int64 [n], UTC microseconds.
        timezone: IANA name.

    Returns:
        Two float64 [n].
    """
    local = (
        pl.Series(time)
        .cast(pl.Datetime("us"))
        .dt.replace_time_zone("UTC")
        .dt.convert_time_zone(timezone)
    )
    return (
        local.dt.hour().cast(pl.Float64).to_numpy(),
        (local.dt.weekday() - 1).cast(pl.Float64).to_numpy(),
    )
