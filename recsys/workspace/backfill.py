"""Backfill of a workspace: opens its log, and brings its feature rows up to date."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from data_contracts.progress import Track, silent
from features.arrays.clock import DAY
from features.backfill.provenance import digest
from features.backfill.run import Scope, backfill
from features.log.log import Log, open_log
from features.log.tables import LogTables
from recsys.workspace.context import require_context
from recsys.workspace.feature_sets import interaction_kinds, row_features
from recsys.workspace.workspace import TABLES, Workspace


def open_workspace_log(workspace: Workspace) -> Log:
    """Open the log of a workspace for the feature executors.

    What opening makes is kept under `features/log/` until a table or its settings change.
    """
    tables, late_days = log_tables(workspace), workspace.config.features.late_days
    stamps = [_stamp(workspace.location(table)) for table in TABLES]
    known = [stamp for stamp in stamps if stamp is not None]
    stamp = digest(*known, *tables.kinds, str(late_days)) if len(known) == len(TABLES) else None
    return open_log(tables, late_days, workspace.features / "log", stamp)


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
    return LogTables(items, impressions, interactions, features.item_columns, kinds)


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


def _stamp(location: str) -> str | None:
    """Tell a local file's state, wherever its folder moves; None for tables elsewhere."""
    path = Path(location)
    if not path.is_file():
        return None
    status = path.stat()
    return f"{path.name} {status.st_size} {status.st_mtime_ns}"
