"""Opening of a table: a missing file, no rows, a missing column or a wrong type are refused."""

from collections.abc import Collection, Mapping
from copy import copy
from dataclasses import dataclass
from glob import glob
from itertools import groupby

import dataframely as dy
import polars as pl

from data_contracts.errors import DataError
from data_contracts.names import LONGEST_ID, IdColumn, meant

REASON = "reason"
"""Column of rejected rows that names the rules they break."""
_FILE = "file it is from"


def with_columns(contract: type[dy.Schema], extra: Mapping[str, dy.Column]) -> type[dy.Schema]:
    """Give the contract of a table that has declared columns beyond the shared ones."""
    declared = {}
    for place, (name, column) in enumerate(extra.items()):
        # An alias, since a class has methods of its own under some names.
        declared[f"declared_{place}"] = named = copy(column)
        named.alias = name
    return type(contract.__name__, (contract,), {"__doc__": contract.__doc__, **declared})


def scan_table(
    path: str, contract: type[dy.Schema], declared: Collection[str] = ()
) -> pl.LazyFrame:
    """Open a Parquet table and bring it to its contract's columns, order and types.

    A table may have several files; each is brought there from the types it has itself. Nullable
    columns that a file lacks are added as null. Types that hold the same values (narrower integers,
    other time units, dictionary-encoded strings) are cast; a time without a zone is refused, since
    nobody can know which instant it means.

    Args:
        path: Anything polars can scan: a file, a glob, a folder, `s3://...`.
        contract: The contract of the table.
        declared: Nullable columns that some file must have all the same.

    Returns:
        The table with the contract's columns in the contract's order.

    Raises:
        DataError: A file is missing or unreadable, there are no rows, or a column is missing or of
            a type that cannot be cast.
    """
    name = contract.__name__.lower()
    parts = _parts(path, name)
    _require_declared(path, name, declared, _columns(parts))
    wanted = {key: column.dtype for key, column in contract.columns().items()}
    nullable = {key for key, column in contract.columns().items() if column.nullable}
    runs = []
    for types, run in groupby(parts, key=lambda part: tuple(map(part.schema.get, wanted))):
        files = [part.file for part in run]
        found = {key: dtype for key, dtype in zip(wanted, types, strict=True) if dtype is not None}
        missing = [key for key in wanted if key not in found and key not in nullable]
        if missing:
            others = sorted(_columns(parts) - wanted.keys())
            raise DataError(
                f"table {name} at {files[0]} has columns {sorted({*found, *others})}",
                f"also the columns {missing}{meant(missing[0], others)}",
                "add them, or correct their names; `recsys contracts` prints the whole contract",
            )
        columns = [
            _as_type(name, files[0], key, found[key], dtype)
            if key in found
            else pl.lit(None, dtype=dtype).alias(key)
            for key, dtype in wanted.items()
        ]
        runs.append(_scan(files, hive=parts[0].hive).select(columns))
    return runs[0] if len(runs) == 1 else pl.concat(runs)


def unread_columns(path: str, contract: type[dy.Schema]) -> list[str]:
    """List the columns of a table's files that its contract does not have.

    Args:
        path: As for `scan_table`.
        contract: The contract of the table.

    Returns:
        For each its name, and which absent column of the contract may be meant by it.

    Raises:
        DataError: A file is missing or unreadable, or there are no rows.
    """
    found = _columns(_parts(path, contract.__name__.lower()))
    absent = contract.columns().keys() - found
    return [f"{name!r}{meant(name, absent)}" for name in sorted(found - contract.columns().keys())]


@dataclass(frozen=True)
class _Part:
    """A file of a table; `hive` tells whether its folders name columns too."""

    file: str
    schema: Mapping[str, pl.DataType]
    hive: bool


def _parts(path: str, name: str) -> list[_Part]:
    """List the files of a table that have rows, in order."""
    try:
        lazy = pl.scan_parquet(
            path, include_file_paths=_FILE, missing_columns="insert", extra_columns="ignore"
        )
        runs = lazy.select(pl.col(_FILE).rle().struct.field("value")).collect()
        files = runs.to_series().to_list()
        # As polars does it: only a folder's own folders name columns.
        hive = files != [path] and not set("*?[") & set(path)
        parts = [_Part(each, _scan([each], hive=hive).collect_schema(), hive) for each in files]
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(
            f"table {name} at {_unreadable(path)} cannot be read ({str(error).splitlines()[0]})",
            "a Parquet file",
            "check the path under [tables] in recsys.toml, or write the file again",
        ) from error
    if not parts:
        raise DataError(
            f"table {name} at {path} has no rows",
            "at least one row",
            "check the job that wrote it",
        )
    return parts


def _scan(files: list[str], *, hive: bool) -> pl.LazyFrame:
    return pl.scan_parquet(
        files,
        glob=False,
        hive_partitioning=hive,
        missing_columns="insert",
        extra_columns="ignore",
    )


def _unreadable(path: str) -> str:
    """Find the first file of a local table that cannot be read; else the path as it is."""
    for file in sorted(glob(path, recursive=True)):  # noqa: PTH207 (Path takes no absolute one)
        try:
            pl.read_parquet_schema(file)
        except (pl.exceptions.PolarsError, OSError):
            return file
    return path


def _columns(parts: Collection[_Part]) -> set[str]:
    return {column for part in parts for column in part.schema}


def _require_declared(
    path: str, name: str, declared: Collection[str], columns: Collection[str]
) -> None:
    absent = [column for column in declared if column not in columns]
    if absent:
        others = set(columns) - set(declared)
        raise DataError(
            f"table {name} at {path} has columns {sorted(columns)}",
            f"also the declared ones {absent}{meant(absent[0], others)}",
            "correct the names under [attributes] in recsys.toml, or write the columns",
        )


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
        advice: The likely cause and what to do about it; empty where the rule says it all.
    """

    rule: str
    count: int
    first: Mapping[str, object]
    advice: str = ""


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
    bad = details.select(*frame.columns, (reason if counts else pl.lit("")).alias(REASON))
    failures = [
        RuleFailure(
            rule,
            count,
            details.filter(pl.col(rule) == "invalid").select(frame.columns).row(0, named=True),
            _advice(rule, contract),
        )
        for rule, count in sorted(counts.items(), key=lambda pair: -pair[1])
    ]
    return CheckedRows(good, bad, failures)


def _advice(rule: str, contract: type[dy.Schema]) -> str:
    column, _, check = rule.partition("|")
    found = contract.columns().get(column)
    if not isinstance(found, IdColumn):
        return ""
    if check == "min_length" and found.nullable:
        return "a file of text may have had nothing there: write null where there is none"
    return {
        "min_length": "leave out rows without an identifier",
        "max_length": f"requests take {LONGEST_ID} characters too: shorten it in both",
        "visible": "blank, or with control characters: strip it, and write null for none",
    }.get(check, "")
