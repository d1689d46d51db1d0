"""Parity of a workspace: its log played online, or what a server logged, against its backfill."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl

from data_contracts.errors import DataError, UsageError
from data_contracts.progress import Track, silent
from data_contracts.reading import scan_table
from data_contracts.served import ServedFeatures
from features.checks.parity import ParityReport, compare_served
from features.checks.quality import QualityReport, feature_quality
from features.checks.replay import ReplayScope, replay
from recsys.workspace.backfill import log_tables, open_workspace_log
from recsys.workspace.feature_sets import features_of, row_features
from recsys.workspace.workspace import Workspace

_EPOCH = date(1970, 1, 1)


def check_parity(
    workspace: Workspace,
    since: str | None = None,
    until: str | None = None,
    limit: int | None = None,
    track: Track = silent,
) -> ParityReport:
    """Play a workspace's log through the online executor and compare with its backfill.

    Args:
        workspace: The workspace, its features computed.
        since: First day compared, as YYYY-MM-DD; None for that of the ranker's requests.
        until: Last day compared; None for the last one.
        limit: At most so many requests, spread evenly; None for all.
        track: Shows progress.

    Returns:
        The report.

    Raises:
        DataError: There are no computed features.
        UsageError: A day is none.
    """
    config = workspace.config
    first = config.split.text_end.date() if since is None else _day(since)
    last = date(9000, 1, 1) if until is None else _day(until)
    compared = ReplayScope((first - _EPOCH).days, (last - _EPOCH).days + 1, limit)
    log, features = open_workspace_log(workspace), row_features(config)
    tables, folder = log_tables(workspace).until(log.end), workspace.features
    return replay(tables, features, config.executor, folder, log.window, compared, track)


def check_logged(workspace: Workspace, path: Path) -> ParityReport:
    """Compare the features that a server logged with the backfill's of the same requests.

    Args:
        workspace: The workspace whose log has these requests, its features computed.
        path: Rows of the contract `served_features`: Parquet, JSON lines, or a folder of them.

    Returns:
        The report.

    Raises:
        DataError: The file does not keep its contract, or there are no computed features.
    """
    files = sorted(workspace.rows.glob("*.parquet"))
    if not files:
        raise DataError(
            f"no rows in {workspace.features}", "computed features", "run `recsys backfill`"
        )
    rows = pl.scan_parquet(files)
    return compare_served(read_served(path), rows, features_of(workspace.config))


def read_served(path: Path) -> pl.DataFrame:
    """Read features as a server logged them.

    Args:
        path: Rows of the contract `served_features`: Parquet, JSON lines (`.jsonl`), or a folder
            of the latter.

    Returns:
        The rows.

    Raises:
        DataError: The file is missing, unreadable, or does not keep its contract.
    """
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    if not files:
        raise DataError(
            f"no *.jsonl in {path}",
            "features that a server wrote",
            "serve with RECSYS_SERVED_FEATURES=FOLDER",
        )
    if path.suffix == ".parquet":
        frame = scan_table(str(path), ServedFeatures).collect()
    else:
        frame = pl.concat([_read_lines(file) for file in files])
    good, failure = ServedFeatures.filter(frame)
    if failure.counts():
        rules = ", ".join(f"{rule} ({count})" for rule, count in failure.counts().items())
        raise DataError(
            f"{path} has rows that break: {rules}", "the contract served_features", "see docs"
        )
    return good


def _read_lines(path: Path) -> pl.DataFrame:
    schema = {name: column.dtype for name, column in ServedFeatures.columns().items()}
    try:
        return pl.read_ndjson(path, schema=schema)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"{path} cannot be read: {str(error).splitlines()[0]}",
            "JSON lines with request_id, item_id, schema_hash and values",
            "log served features as the contract served_features says",
        ) from error


def render_parity(report: ParityReport) -> Iterator[str]:
    """Say in lines what was compared and what differs."""
    names = len(report.agreements)
    yield (
        f"compared {report.rows:,} rows of {report.requests:,} requests, {names} features: "
        f"{report.equal_to_the_bit} equal to the bit, {len(report.different)} differ"
    )
    for what, count in report.notes.items():
        yield f"  {what}: {count:,}"
    if report.without_values:
        yield f"  rows that one side alone has, not compared: {report.without_values:,}"
    for each in report.agreements:
        if each.unequal and not each.different:
            yield (
                f"  {each.name}: {each.unequal:,} of {each.rows:,} values not equal to the bit, "
                f"at most {each.largest:.1e} apart"
            )
    for each in report.different:
        yield f"  DIFFERS {each.name}: {each.different:,} of {each.rows:,} rows"
        if each.example is not None:
            request, item, found, wanted = each.example
            yield f"    request {request}, item {item}: {found!r} against the backfill's {wanted!r}"
    if not report.rows:
        yield "  nothing to compare: are the days right, and is `recsys backfill` up to date?"


def _day(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError as error:
        raise UsageError(f"day {text!r}", "YYYY-MM-DD", "give the day like 2024-02-29") from error


def check_quality(workspace: Workspace, rows: Path, track: Track = silent) -> QualityReport:
    """Look at the rows of a workspace; the ranker's training window is the measure.

    Args:
        workspace: The workspace.
        rows: Folder of the rows that a backfill wrote.
        track: Shows progress.

    Returns:
        What was found.

    Raises:
        DataError: There is no row of the ranker's training window.
    """
    config = workspace.config
    window = config.periods.ranker
    if window.start is None or window.end is None:
        raise DataError("a training window without an end", "both ends", "see [split]")
    features = row_features(config)
    return feature_quality(rows, features, config.name, window.start, window.end, track)
