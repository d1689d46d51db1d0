"""Parquet files of a public data set, read with checked columns and types."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from data_contracts.errors import DataError

SourceColumn = tuple[type[pl.DataType], *tuple[str, ...]]
"""Type of a column, and its names in the files of the source: the first one found is read."""


def read_source(path: Path, columns: Mapping[str, SourceColumn]) -> pl.DataFrame:
    """Read some columns of a Parquet file under the importer's names and types.

    Args:
        path: The file.
        columns: Columns to read, by the name they get.

    Returns:
        The columns in the order of `columns`, all rows in the order of the file.

    Raises:
        DataError: The file is missing or unreadable, has no rows, lacks a column, or holds a
            value that does not fit its type.
    """
    try:
        lazy = pl.scan_parquet(path)
        found = lazy.collect_schema().names()
        missing = [names for _, *names in columns.values() if not set(names) & set(found)]
        if not missing:
            wanted = [
                pl.col(next(option for option in names if option in found)).cast(dtype).alias(name)
                for name, (dtype, *names) in columns.items()
            ]
            frame = lazy.select(wanted).collect(engine="streaming")
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(
            f"{path} cannot be read ({str(error).splitlines()[0]})",
            "a Parquet file with "
            + ", ".join(f"{names[0]} ({dtype})" for dtype, *names in columns.values()),
            "fetch the file again, or give the folder that holds it",
        ) from error
    if missing:
        raise DataError(
            f"{path} has columns {found}",
            "also " + ", ".join(" or ".join(options) for options in missing),
            "give the folder that holds the files as published",
        )
    if frame.is_empty():
        raise DataError(f"{path} has no rows", "at least one row", "fetch the file again")
    return frame
