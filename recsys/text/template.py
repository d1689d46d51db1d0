"""The text of an item, put together from its columns."""

from collections.abc import Sequence

import polars as pl

from data_contracts.items import Items


def item_texts(items: pl.DataFrame, template: Sequence[str]) -> pl.Series:
    """Put the columns of the template together, one sentence a column.

    Null and empty columns are left out, tags are joined by commas, and a column that repeats an
    earlier one says nothing new and is left out too.

    Args:
        items: A table that keeps the contract of items.
        template: Names of columns, in the order of the text.

    Returns:
        Texts, [n_items]; empty for an item without any.
    """
    parts: list[pl.Expr] = []
    for place, name in enumerate(template):
        part = _words(name)
        repeated = [_words(earlier) == part for earlier in template[:place]]
        seen = (
            pl.any_horizontal(repeated).fill_null(value=False) if repeated else pl.lit(value=False)
        )
        parts.append(pl.when(seen | (part == "")).then(None).otherwise(part))
    joined = pl.concat_str(parts, separator=". ", ignore_nulls=True)
    return items.select(joined.fill_null("").alias("text"))["text"]


def _words(name: str) -> pl.Expr:
    column = pl.col(name)
    if name == Items.tags.name:
        column = column.list.join(", ")
    return column.fill_null("").str.strip_chars().str.strip_chars_end(".")
