"""Copies of interactions: which is kept, and which of them tell something else."""

from typing import NamedTuple

import polars as pl

from data_contracts.events import Interactions
from features.log.events import is_no_copy, known_time

_PLACE, _KEPT, _DAY, _DIFFERS, _OTHER = "place", "kept", "day", "differs", "other"


class Copies(NamedTuple):
    """Interactions, those of one `event_id` on one UTC day told apart.

    Attributes:
        kept: Of each event the one that was known first, in the order of the table.
        copies: All others.
        differing: Copies that tell something else than the kept one, beyond when it was known.
        others: Copies of another kind, item or user: events of their own under an id that is none.
    """

    kept: pl.DataFrame
    copies: pl.DataFrame
    differing: pl.DataFrame
    others: pl.DataFrame


def split_copies(frame: pl.DataFrame) -> Copies:
    """Keep of each event, which is an id on a UTC day, the copy that was known first.

    Args:
        frame: Interactions; rows without id or time are kept.

    Returns:
        What is kept, and what is not.
    """
    event, time = Interactions.event_id.name, Interactions.timestamp
    key, columns = [event, _DAY], frame.columns
    placed = frame.with_row_index(_PLACE).with_columns(time.col.dt.date().alias(_DAY))
    complete = pl.col(event).is_not_null() & time.col.is_not_null()
    several = placed.filter(complete & pl.struct(key).is_duplicated())
    several = several.sort(known_time(), time.col, _PLACE)
    told = pl.struct(name for name in columns if name != Interactions.ingested_at.name)
    copies = (
        several.with_columns(
            pl.struct(key).is_first_distinct().alias(_KEPT),
            is_no_copy(key).alias(_OTHER),
            (told != told.first().over(key)).alias(_DIFFERS),
        )
        .filter(~pl.col(_KEPT))
        .sort(_PLACE)
    )
    other = pl.col(_OTHER)
    return Copies(
        placed.join(copies, on=_PLACE, how="anti", maintain_order="left").select(columns),
        copies.select(columns),
        copies.filter(pl.col(_DIFFERS) & ~other).select(columns),
        copies.filter(other).select(columns),
    )
