"""Facts about a workspace's tables that decide its features: coverage, kinds, repeats."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from data_contracts.errors import DataError
from data_contracts.events import Impressions, Interactions
from data_contracts.items import Items
from features.log.item_columns import PRICE_BAND, item_versions, price_bands, said
from recsys.workspace.workspace import Workspace

SAMPLE_ROWS = 200_000
"""Impressions whose context is looked at."""
STRAYS = 0.005
"""Share of the interactions that may lie before the log's first day, or after its last."""


@dataclass(frozen=True)
class ColumnFacts:
    """What a column of items, or a key of the context, holds.

    Attributes:
        coverage: Share of the rows with a value.
        values: The different values, the most frequent first; at most a hundred of them.
        distinct: How many there are.
        numeric: Whether all are numbers.
    """

    coverage: float
    values: Sequence[str]
    distinct: int
    numeric: bool


@dataclass(frozen=True)
class WorkspaceFacts:
    """What a workspace holds.

    Attributes:
        kinds: Interactions of each kind that has a grade, weakest first.
        first: Time of the first interaction, but for a share of `STRAYS` that may be misdated.
        last: Time of the last one, as well.
        items: Size of the catalogue.
        with_user: Share of the interactions that have a user.
        with_value: Share of the strongest kind's interactions that have a value.
        repeats: Share of the pairs of user and item that met on two days or more.
        session_items: Mean of the different items in a session; 0 without sessions.
        of_the_day: Share of the interactions that are not at midnight UTC.
        columns: Columns of items by name.
        context: Keys of the impressions' context by name.
    """

    kinds: Mapping[str, int]
    first: datetime
    last: datetime
    items: int
    with_user: float
    with_value: float
    repeats: float
    session_items: float
    of_the_day: float
    columns: Mapping[str, ColumnFacts]
    context: Mapping[str, ColumnFacts]


def read_facts(workspace: Workspace) -> WorkspaceFacts:
    """Look at the tables of a workspace.

    Args:
        workspace: The workspace.

    Returns:
        What they hold.

    Raises:
        DataError: There is no interaction of a kind that has a grade.
    """
    kinds = workspace.config.labels.kinds
    # What the items are now is what a proposal is for.
    versions = item_versions(workspace.scan("items").collect())
    items = versions.unique(Items.item_id.name, keep="last", maintain_order=True)
    taken = workspace.scan("interactions").filter(Interactions.kind.col.is_in(kinds))
    time = Interactions.timestamp.col
    user, value = Interactions.user_id.col, Interactions.value.col
    strongest = Interactions.kind.col == kinds[-1]
    row = taken.select(
        time.quantile(STRAYS, "higher").alias("first"),
        time.quantile(1 - STRAYS, "lower").alias("last"),
        user.is_not_null().mean().alias("with_user"),
        value.filter(strongest).is_not_null().mean().alias("with_value"),
        (time.dt.truncate("1d") != time).mean().alias("of_the_day"),
    ).collect()
    first, last, with_user, with_value, of_the_day = row.row(0)
    if first is None:
        raise DataError(
            "no interaction of a kind with a grade",
            f"some of the kinds {kinds}",
            "name the kinds under [labels] grades in recsys.toml as the table does",
        )
    counts = dict(taken.group_by(Interactions.kind.name).len().collect().rows())
    return WorkspaceFacts(
        {kind: counts.get(kind, 0) for kind in kinds},
        first,
        last,
        items.height,
        with_user,
        with_value or 0.0,
        _repeats(taken),
        _session_items(taken),
        of_the_day,
        _item_columns(items, workspace),
        _context(workspace.scan("impressions")),
    )


def _repeats(taken: pl.LazyFrame) -> float:
    pair = [Interactions.user_id.name, Interactions.item_id.name]
    days = Interactions.timestamp.col.dt.date().n_unique().alias("days")
    known = taken.filter(Interactions.user_id.col.is_not_null())
    share = known.group_by(pair).agg(days).select((pl.col("days") > 1).mean()).collect().item()
    return share or 0.0


def _session_items(taken: pl.LazyFrame) -> float:
    session = Interactions.session_id.name
    known = taken.filter(pl.col(session).is_not_null())
    sizes = known.group_by(session).agg(Interactions.item_id.col.n_unique().alias("items"))
    return sizes.select(pl.col("items").mean()).collect().item() or 0.0


def _item_columns(items: pl.DataFrame, workspace: Workspace) -> dict[str, ColumnFacts]:
    names = (Items.category, Items.tags, Items.price, Items.listed_at)
    columns = [items[column.name] for column in names]
    columns += [items[name] for name in workspace.config.attributes]
    columns.append(price_bands(items))
    return {column.name: _facts(said(column), items.height) for column in columns}


def _facts(column: pl.Series, rows: int) -> ColumnFacts:
    if isinstance(column.dtype, pl.List):
        known = int((column.list.len().fill_null(0) > 0).sum())
        column = column.explode()
    else:
        known = rows - column.null_count()
    counts = column.drop_nulls().value_counts(sort=True)
    return ColumnFacts(
        known / max(rows, 1),
        [str(value) for value in counts[column.name].head(100).to_list()],
        counts.height,
        column.dtype.is_numeric(),
    )


def _context(impressions: pl.LazyFrame) -> dict[str, ColumnFacts]:
    """Look at the context of the last impressions; what a caller sends now is what counts."""
    rows = impressions.select(Impressions.context.name).tail(SAMPLE_ROWS).collect()
    pairs = rows.explode(Impressions.context.name).drop_nulls().unnest(Impressions.context.name)
    found = {}
    for (key,), of_key in pairs.group_by("key"):
        value = of_key["value"]
        text = _facts(value, rows.height)
        finite = value.cast(pl.Float32, strict=False).is_finite().fill_null(value=False)
        found[str(key)] = ColumnFacts(
            len(value) / max(rows.height, 1), text.values, text.distinct, finite.all()
        )
    return dict(sorted(found.items()))


NOT_ATTRIBUTES = (Items.tags.name, Items.price.name, Items.listed_at.name, PRICE_BAND)
"""Columns that are proposed in a way of their own."""
