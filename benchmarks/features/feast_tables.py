"""Windowed counters precomputed for Feast: every moment at which one of them changes, per key.

Feast joins to each row the last values of its key at or before the row's time. So that these are
exactly our features, a key has a row at each of its events' first visible microsecond and at each
moment an event leaves a window, with all windows' counts as of then. Feast's join pairs every row
with its key's whole past, so there is a second form that spares it that where a past is long: a row
holds for a day only, and each midnight repeats what is not zero.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from features.arrays.clock import DAY, HOUR
from features.counter_spec import EVER
from features.kinds.base import window

AT = "event_timestamp"
HOURLY_DAYS = 7


@dataclass(frozen=True)
class Count:
    """A windowed counter.

    Attributes:
        key: Columns of the key.
        events: Kind of the events counted.
        days: Length of the window; `EVER` for all time.
    """

    key: tuple[str, ...]
    events: str
    days: int

    @property
    def name(self) -> str:
        """Name of the column, as our executor names it."""
        return f"{'_'.join(self.key)}_{self.events}_{window(self.days)}"

    @property
    def tile(self) -> int:
        """Where the window begins: at a full hour or midnight, microseconds."""
        return HOUR if self.days <= HOURLY_DAYS else DAY

    def start(self, time: int) -> int:
        """Give when the window that ends at a moment begins, UTC microseconds."""
        return 0 if self.days == EVER else (time - self.days * DAY) // self.tile * self.tile


def view_table(
    events: pl.DataFrame, counts: Sequence[Count], until: int, *, daily: bool
) -> pl.DataFrame:
    """Give the rows of a feature view.

    Args:
        events: Columns of the key, `events` (the kind) and `time` (int64, UTC microseconds).
        counts: Counters of one key.
        until: Rows are wanted before this, UTC microseconds.
        daily: Whether each midnight repeats what is not zero.

    Returns:
        The key's columns, `event_timestamp` and one column per counter.
    """
    key = list(counts[0].key)
    names = [count.name for count in counts]
    deltas = pl.concat([_deltas(events, count) for count in counts], how="diagonal")
    deltas = deltas.filter(pl.col("at") < until).fill_null(0)
    changes = (
        deltas.group_by(*key, "at")
        .agg(pl.col(names).sum())
        .sort(*key, "at")
        .with_columns(pl.col(names).cum_sum().over(key))
    )
    repeats = [_repeats(changes, key, names, until)] if daily else []
    rows = pl.concat([changes, *repeats])
    when = pl.col("at").cast(pl.Datetime("us", "UTC")).alias(AT)
    return rows.sort("at", *key).select(*key, when, *names)


def _deltas(events: pl.DataFrame, count: Count) -> pl.DataFrame:
    """Give what each event adds to a counter, when it comes into sight and when it leaves."""
    chosen = events.filter(pl.col("events") == count.events).drop_nulls(count.key)
    time = pl.col("time")
    comes = chosen.select(*count.key, at=time + 1).with_columns(_number(1, count.name))
    if count.days == EVER:
        return comes
    leaves = time // count.tile * count.tile + count.tile + count.days * DAY
    goes = chosen.select(*count.key, at=leaves).with_columns(_number(-1, count.name))
    return pl.concat([comes, goes])


def _number(value: int, name: str) -> pl.Expr:
    return pl.lit(value, dtype=pl.Int64).alias(name)


def _repeats(changes: pl.DataFrame, key: list[str], names: list[str], until: int) -> pl.DataFrame:
    """Give at each midnight what is not zero and does not change at that very moment."""
    lasting = changes.with_columns(after=pl.col("at").shift(-1).over(key).fill_null(until)).filter(
        pl.any_horizontal(pl.col(names) != 0)
    )
    midnights = pl.int_ranges((pl.col("at") // DAY + 1) * DAY, pl.col("after"), DAY, dtype=pl.Int64)
    repeated = lasting.with_columns(at=midnights).explode("at").drop_nulls("at")
    return repeated.select(*key, "at", *names)


def views(counts: Sequence[Count]) -> Mapping[str, list[Count]]:
    """Sort counters into feature views, one per key."""
    found: dict[str, list[Count]] = {}
    for count in counts:
        found.setdefault("by_" + "_".join(count.key), []).append(count)
    return found
