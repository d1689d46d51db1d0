"""Opening of a table: a missing file, no rows, a missing column or a wrong type are refused."""

from collections.abc import Mapping
from dataclasses import dataclass

import dataframely as dy
import polars as pl

from data_contracts.errors import DataError


def with_columns(contract: type[dy.Schema], extra: Mapping[str, dy.Column]) -> type[dy.Schema]:
    """Give the contract of a table that has declared columns beyond the shared ones."""
    return type(contract.__name__, (contract,), {"__doc__": contract.__doc__, **extra})


def scan_table(path: str, contract: type[dy.Schema]) -> pl.LazyFrame:
    """Open a Parquet table and bring it to its contract's columns, order and types.

    Nullable columns that the file lacks are added as null. Types that hold the same values
    (narrower integers, other time units, dictionary-encoded strings) are cast; a time without a
    zone is refused, since nobody can know which instant it means.

    Args:
        path: Anything polars can scan: a file, a glob, `s3://...`.
        contract: The contract of the table.

    Returns:
        The table with the contract's columns in the contract's order.

    Raises:
        DataError: The file is missing, empty or unreadable, or a column is missing or of a type
            that cannot be cast.
    """
    name = contract.__name__.lower()
    found = _found_schema(path, name)
    wanted = {key: column.dtype for key, column in contract.columns().items()}
    nullable = {key for key, column in contract.columns().items() if column.nullable}
    missing = [key for key in wanted if key not in found and key not in nullable]
    if missing:
        raise DataError(
            f"table {name} at {path} has columns {sorted(found)}",
            f"also the columns {missing}",
            "add them, or correct their names; `recsys contracts` prints the whole contract",
        )
    columns = [
        _as_type(name, path, key, found[key], dtype)
        if key in found
        else pl.lit(None, dtype=dtype).alias(key)
        for key, dtype in wanted.items()
    ]
    return pl.scan_parquet(path).select(columns)


def _found_schema(path: str, name: str) -> Mapping[str, pl.DataType]:
    try:
        lazy = pl.scan_parquet(path)
        schema = lazy.collect_schema()
        rows = lazy.select(pl.len()).collect().item()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(
            f"table {name} at {path} cannot be read ({str(error).splitlines()[0]})",
            "a Parquet file",
            "check the path under [tables] in recsys.toml, or write the file again",
        ) from error
    if rows == 0:
        raise DataError(
            f"table {name} at {path} has no rows",
            "at least one row",
            "check the job that wrote it",
        )
    return schema


def _as_type(name: str, path: str, column: str, found: pl.DataType, wanted: pl.DataType) -> pl.Expr:
    expr = pl.col(column)
    if found == wanted:
        return expr
    if isinstance(wanted, pl.Datetime) and isinstance(found, pl.Datetime):
        if found.time_zone is None:
            raise DataError(
                f"column {column} of table {name} at {path} is {found}, a time without a zone",
                f"{wanted}",
                f"say which zone it is in, e.g. pl.col({column!r}).dt.replace_time_zone('UTC')",
            )
        return expr.dt.convert_time_zone("UTC").cast(wanted)
    safe = (
        (found.is_integer() and wanted.is_numeric())
        or (found.is_float() and wanted.is_float())
        or (isinstance(found, pl.Categorical | pl.Enum) and wanted == pl.String)
        or found == pl.Null
        or (isinstance(found, pl.List) and isinstance(wanted, pl.List))
    )
    if not safe:
        raise DataError(
            f"column {column} of table {name} at {path} is {found}",
            f"{wanted}",
            "cast it where the table is written",
        )
    return expr.cast(wanted)


@dataclass(frozen=True)
class RuleFailure:
    """A rule that some rows break.

    Attributes:
        rule: Name of the rule, `column|check` for a rule of one column.
        count: Number of rows that break it.
        first: The first such row, as column to value.
    """

    rule: str
    count: int
    first: Mapping[str, object]


@dataclass(frozen=True)
class CheckedRows:
    """A table split by its contract's rules; good and bad together are all rows.

    Attributes:
        good: Rows that keep every rule.
        bad: Rows that break one, with a column `reason` that names the rules.
        failures: Per broken rule, its count and first offender, most frequent first.
    """

    good: pl.DataFrame
    bad: pl.DataFrame
    failures: list[RuleFailure]


def check_rows(frame: pl.DataFrame, contract: type[dy.Schema]) -> CheckedRows:
    """Split a table that `scan_table` opened by its contract's rules."""
    good, failure = contract.filter(frame)
    counts = failure.counts()
    details = failure.details()
    reason = pl.concat_str(
        [pl.when(pl.col(rule) == "invalid").then(pl.lit(rule)) for rule in counts],
        separator="; ",
        ignore_nulls=True,
    )
    bad = details.select(*frame.columns, (reason if counts else pl.lit("")).alias("reason"))
    failures = [
        RuleFailure(
            rule,
            count,
            details.filter(pl.col(rule) == "invalid").select(frame.columns).row(0, named=True),
        )
        for rule, count in sorted(counts.items(), key=lambda pair: -pair[1])
    ]
    return CheckedRows(good, bad, failures)
