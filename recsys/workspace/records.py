"""Rows of the tables by what else is there: copies of interactions, versions of items in force."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl

from data_contracts.events import Impressions, Interactions
from data_contracts.items import Items
from features.arrays.key_index import MISSING
from features.arrays.look_up import look_up
from features.log.catalogue import LoggedCatalogue, encode
from features.log.events import is_no_copy, known_time
from features.log.item_columns import item_versions
from recsys.workspace.findings import Finding, Severity, finding_of

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


UNKNOWN, UNKNOWN_THEN, TOO_LATE = "unknown_item", "item_unknown_then", "version_too_late"
_MANY = 0.2
"""Share of rows whose items were unknown then that makes a catalogue unfit for its log."""
_ROW = "row"
_ADVICE = (
    "nothing is known of an item before its first version: keep the rows before a change too, or "
    "leave updated_at out"
)


def rows_in_force(items: pl.DataFrame, item_ids: pl.Series, moment: np.ndarray) -> np.ndarray:
    """Find the row of the items that held at a moment.

    Args:
        items: A table that keeps the contract of items.
        item_ids: The items asked for, [n].
        moment: int64 [n], UTC microseconds.

    Returns:
        float64 [n], places in the table; NaN for an item that was unknown then.
    """
    known = items[Items.item_id.name].unique()
    versions = item_versions(items.with_row_index(_ROW))
    catalogue = LoggedCatalogue.of(versions, (_ROW,), known)
    found = catalogue.versions(encode(item_ids, known), moment)
    return look_up(catalogue.numbers[_ROW], found, np.nan)


def moments(events: pl.DataFrame) -> np.ndarray:
    """Give when versions of items are looked up for rows: at the request, or once it was known."""
    if Impressions.position.name in events.columns:
        return events[Impressions.timestamp.name].dt.timestamp("us").to_numpy()
    return events.select(known_time() + 1).to_series().to_numpy()


def unknown_items(table: str, events: pl.DataFrame, items: pl.DataFrame) -> Iterator[Finding]:
    """Count the rows of a log whose item nobody has a record of, or had one then.

    Args:
        table: Name of the table of events.
        events: Its rows.
        items: The items.

    Yields:
        Two findings.
    """
    item = Interactions.item_id.name
    rows = rows_in_force(items, events[item], moments(events))
    unknown = events.filter(np.isnan(rows))
    keys = items.select(pl.col(item).unique())
    never = unknown.join(keys, on=item, how="anti", maintain_order="left")
    then = unknown.join(keys, on=item, how="semi", maintain_order="left")
    yield finding_of(table, UNKNOWN, "warning", never)
    many: Severity = "error" if then.height > _MANY * events.height else "warning"
    yield finding_of(table, UNKNOWN_THEN, many, then, _ADVICE)


def late_versions(table: str, items: pl.DataFrame) -> Finding:
    """Count the versions that came when a newer one was known, and are never in force."""
    in_force = item_versions(items.with_row_index(_ROW))[_ROW]
    late = np.ones(items.height, np.bool_)
    late[in_force.to_numpy()] = False
    return finding_of(table, TOO_LATE, "info", items.filter(late))


def with_text(items: pl.DataFrame, silent: np.ndarray, impressions: pl.DataFrame) -> np.ndarray:
    """Tell which impressions' items had a text at their request.

    Args:
        items: The items.
        silent: Which rows of them have no text, bool [n_rows].
        impressions: The impressions.

    Returns:
        bool [n_impressions].
    """
    item_ids = impressions[Impressions.item_id.name]
    rows = rows_in_force(items, item_ids, moments(impressions))
    place = np.where(np.isnan(rows), MISSING, rows).astype(np.int64)
    return look_up(~silent, place, 0)
