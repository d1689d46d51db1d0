"""Faults of a log: rows that arrive late, interactions recorded twice or of no known request."""

import dataframely as dy
import numpy as np
import polars as pl

from data_contracts.events import Interactions
from recsys.datasets.simulation.visits import Visits
from recsys.datasets.simulation.world.settings import SimulationSettings
from recsys.datasets.simulation.world.truth import TruthDuplicates, TruthLate, TruthOrphans

_LATE_STREAM, _DUPLICATE_STREAM, _ORPHAN_STREAM, _LATE_SHOWN_STREAM = 7, 8, 9, 15

_MINUTE_US = 60_000_000
# Pareto: half arrive within 5 minutes, one in 6 after an hour, in 23 after a day, in 100 after a
# month; none after 90 days.
_DELAY_EXPONENT = 0.43
_LONGEST_DELAY_US = 90 * 24 * 60 * _MINUTE_US
# Log-normal: half of the repeats come within 2 minutes, one in 20 after 50.
_REPEAT_MEDIAN_S, _REPEAT_SIGMA = 120.0, 2.0
_REPEAT_RANGE_S = (1.0, 3 * 86_400.0)
# Log-normal: half of the late impressions come within 20 minutes, one in 20 after 4 hours.
_SHOWN_MEDIAN_S, _SHOWN_SIGMA = 1200.0, 1.5
_SHOWN_RANGE_S = (60.0, 12 * 3600.0)


def arrivals_of_requests(visits: Visits, settings: SimulationSettings) -> np.ndarray:
    """Draw when the impressions of each request become known, of a share of requests late.

    Microseconds since the epoch, int64 [n_requests]; the request's own time where not late.
    """
    batch = int(visits.number[0])
    rng = np.random.default_rng((settings.seed, _LATE_SHOWN_STREAM, visits.day, batch))
    late = rng.random(len(visits)) < settings.late_impressions
    after_s = rng.lognormal(np.log(_SHOWN_MEDIAN_S), _SHOWN_SIGMA, len(visits))
    after_us = (after_s.clip(*_SHOWN_RANGE_S) * 1e6).astype(np.int64)
    return visits.time_us + np.where(late, after_us, 0)


def add_faults(
    interactions: pl.DataFrame, settings: SimulationSettings, day: int
) -> tuple[pl.DataFrame, dict[type[dy.Schema], pl.DataFrame]]:
    """Make a share of a day's interactions late, duplicated or orphaned.

    Each fault has random numbers of its own: more of one leaves the others as they are.

    Args:
        interactions: Rows as `Interactions` says, by time, none of them late.
        settings: The shares.
        day: Day of the log, from 0.

    Returns:
        The rows as logged, by time, event and arrival; and the truth table of each fault that the
        settings ask for, by its contract.
    """
    rows, orphans = _orphaned(interactions, settings, day)
    rows, late = _delayed(rows, settings, day)
    copies = _repeated(rows, settings, day)
    if copies.height:
        keys = (Interactions.timestamp.name, Interactions.event_id.name)
        rows = pl.concat([rows, copies]).sort(keys, maintain_order=True)
    faults: tuple[tuple[type[dy.Schema], float, pl.DataFrame], ...] = (
        (TruthLate, settings.late, late),
        (TruthDuplicates, settings.duplicates, copies),
        (TruthOrphans, settings.orphans, orphans),
    )
    truth = {table: found.select(table.column_names()) for table, share, found in faults if share}
    return rows, truth


def _orphaned(
    rows: pl.DataFrame, settings: SimulationSettings, day: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    rng = np.random.default_rng((settings.seed, _ORPHAN_STREAM, day))
    lost = pl.Series(rng.random(rows.height) < settings.orphans, dtype=pl.Boolean)
    number = pl.int_range(pl.len()).cast(pl.String).str.zfill(6)
    request = Interactions.request_id.name
    other = pl.when(lost).then(f"r{day:04d}-lost" + number).otherwise(pl.col(request))
    return rows.with_columns(other.alias(request)), rows.filter(lost)


def _delayed(
    rows: pl.DataFrame, settings: SimulationSettings, day: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    rng = np.random.default_rng((settings.seed, _LATE_STREAM, day))
    late = pl.Series(rng.random(rows.height) < settings.late, dtype=pl.Boolean)
    times = (1 - rng.random(rows.height)) ** (-1 / _DELAY_EXPONENT)
    delay_us = np.minimum(times * _MINUTE_US, _LONGEST_DELAY_US).astype(np.int64)
    delay = TruthLate.delay_us.name
    with_delay = rows.with_columns(pl.Series(delay, delay_us))
    known = Interactions.timestamp.col + pl.duration(microseconds=pl.col(delay))
    return (
        with_delay.with_columns(
            pl.when(late).then(known).alias(Interactions.ingested_at.name)
        ).drop(delay),
        with_delay.filter(late),
    )


def _repeated(rows: pl.DataFrame, settings: SimulationSettings, day: int) -> pl.DataFrame:
    rng = np.random.default_rng((settings.seed, _DUPLICATE_STREAM, day))
    again = rng.random(rows.height) < settings.duplicates
    after_s = rng.lognormal(np.log(_REPEAT_MEDIAN_S), _REPEAT_SIGMA, rows.height)
    after_us = (after_s.clip(*_REPEAT_RANGE_S) * 1e6).astype(np.int64)
    known = pl.coalesce(Interactions.ingested_at.col, Interactions.timestamp.col)
    copies = rows.filter(pl.Series(again, dtype=pl.Boolean))
    delay = pl.duration(microseconds=pl.lit(pl.Series(after_us[again], dtype=pl.Int64)))
    return copies.with_columns((known + delay).alias(Interactions.ingested_at.name))
