"""Backfill of a workspace: opens its log, and brings its feature rows up to date."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from data_contracts.progress import Track, silent
from features.arrays.clock import DAY, day_name
from features.backfill.provenance import digest
from features.backfill.run import Scope, backfill
from features.log.end import longest_gap
from features.log.log import Log, open_log
from features.log.tables import LogTables
from recsys.text.template import text_keys
from recsys.workspace.context import require_context
from recsys.workspace.feature_sets import interaction_kinds, row_features
from recsys.workspace.workspace import TABLES, Workspace

SILENT_DAYS, STRAYS = 30, 0.01
"""Days without a row, and the share of the rows on one side of them, that are told as strays."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def open_workspace_log(workspace: Workspace) -> Log:
    """Open the log of a workspace for the feature executors.

    What opening makes is kept under `features/log/` until a table or its settings change.
    """
    tables, late_days = log_tables(workspace), workspace.config.features.late_days
    window = workspace.config.labels.attribution_window // timedelta(microseconds=1)
    stamps = table_stamps(workspace)
    text = workspace.config.text.model_dump_json(include={"template", "limits"})
    settings = (*tables.kinds, str(late_days), str(window), *tables.item_columns, text)
    stamp = None if stamps is None else digest(*stamps, *settings)
    return open_log(tables, late_days, window, workspace.features / "log", stamp)


def log_facts(log: Log) -> Iterator[str]:
    """Say in lines where a log ends, what it leaves out, and which of its dates may be wrong."""
    aside = log.set_aside
    yield (
        f"the log ends at {_moment(log.end)}; set aside: {aside.late:,} too late, "
        f"{aside.duplicates:,} copies, {aside.ahead:,} interactions and {aside.shown_ahead:,} "
        "impressions from beyond its end or dated ahead"
    )
    if aside.unlabelled:
        yield (
            f"{aside.unlabelled:,} requests are too new to be learned from or judged by: their "
            "attribution window goes on beyond the end of the log"
        )
    yield from stray_dates({number: day.shown + day.arrived for number, day in log.days.items()})


def stray_dates(rows_by_day: Mapping[int, int]) -> Iterator[str]:
    """Tell of a few rows that lie long before or after all others.

    Args:
        rows_by_day: Rows of each day that has any, by day number.

    Yields:
        A sentence when less than `STRAYS` of the rows lie beyond `SILENT_DAYS` days without any.
    """
    gap, total = longest_gap(rows_by_day), sum(rows_by_day.values())
    if gap is not None and gap.days >= SILENT_DAYS and gap.strays < STRAYS * total:
        few, side = min((gap.rows_before, "before"), (gap.rows_after, "after"))
        yield (
            f"only {few:,} of {total:,} rows lie {side} the {gap.days:,} days without any, from "
            f"{day_name(gap.after + 1)} to {day_name(gap.before - 1)}: if their dates are wrong, "
            "so are windows, histories and the moment of the state; correct them"
        )


def log_tables(workspace: Workspace) -> LogTables:
    """Tables of a workspace, with the columns and kinds that its features read.

    Args:
        workspace: The workspace.

    Returns:
        The tables.

    Raises:
        DataError: A table cannot be read, or lacks a column or a number that features read.
    """
    items, impressions, interactions = map(workspace.scan, TABLES)
    config = workspace.config
    features, kinds = row_features(config), interaction_kinds(config)
    require_context(impressions, features)
    keys = partial(text_keys, settings=config.text)
    return LogTables(items, impressions, interactions, features.item_columns, kinds, keys)


def run_backfill(
    workspace: Workspace,
    log: Log,
    *,
    scope: Scope | None = None,
    track: Track = silent,
    tell: Callable[[str], None] = lambda line: None,
) -> None:
    """Bring the features of the ranker's, the validation's and the test's requests up to date.

    Args:
        workspace: The workspace.
        log: The workspace's log.
        scope: What is asked for; when it names no first day, rows begin after the text model's
            period.
        track: Shows progress.
        tell: Is told what was found stale, and why.
    """
    asked = scope or Scope()
    if asked.first_day is None:
        start_day = int(workspace.config.split.text_end.timestamp() * 1e6) // DAY
        asked = replace(asked, first_day=start_day)
    features = row_features(workspace.config)
    backfill(log, features, workspace.config.executor, workspace.features, asked, track, tell)


def table_stamps(workspace: Workspace) -> list[str] | None:
    """Tell the state of the tables' files; None when one is no single local file."""
    stamps = [_stamp(workspace.location(table)) for table in TABLES]
    known = [stamp for stamp in stamps if stamp is not None]
    return known if len(known) == len(TABLES) else None


def _moment(time: int) -> str:
    return f"{_EPOCH + timedelta(microseconds=time):%Y-%m-%d %H:%M:%S} UTC"


def _stamp(location: str) -> str | None:
    """Tell a local file's state, wherever its folder moves; None for tables elsewhere."""
    path = Path(location)
    if not path.is_file():
        return None
    status = path.stat()
    return f"{path.name} {status.st_size} {status.st_mtime_ns}"
