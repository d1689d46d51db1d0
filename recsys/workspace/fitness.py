"""Fitness of a workspace for work: what `recsys validate` calls an error is refused before it."""

import json
from collections.abc import Collection
from pathlib import Path

from data_contracts.errors import DataError
from data_contracts.progress import Track, silent
from data_contracts.storage import atomic_file
from features.backfill.provenance import digest
from recsys.workspace.backfill import table_stamps
from recsys.workspace.findings import SPLIT, Finding
from recsys.workspace.shortages import RANKER, TEXT, TEXT_STOPPING, VALIDATION
from recsys.workspace.validate import validate
from recsys.workspace.workspace import Workspace

FORMAT = 1
"""Of the verdict, and of the rules it stands for."""
ENCODER = (TEXT, TEXT_STOPPING)
"""The parts of the split that training of the text model uses."""
TRAINING = (*ENCODER, RANKER, VALIDATION)
"""The parts of the split that training uses."""


def require_fit(
    workspace: Workspace, parts: Collection[str] = TRAINING, track: Track = silent
) -> None:
    """Refuse a workspace whose tables have errors, or whose split lacks something for the work.

    The rules are those of `recsys validate`. Tables without any error are not looked at again until
    one of them, or a setting, changes.

    Args:
        workspace: The workspace.
        parts: The parts of the split that the work uses.
        track: Shows progress.

    Raises:
        DataError: There are errors; the first is told.
    """
    stamp = _stamp(workspace)
    if stamp is not None and _passed(workspace.verdict) == stamp:
        return
    report = validate(workspace, track=track)
    errors = [each for each in report.findings if each.severity == "error" and each.count]
    if stamp is not None and not errors:
        with atomic_file(workspace.verdict) as path:
            path.write_text(json.dumps({"stamp": stamp}), encoding="utf-8")
    concerning = [each for each in errors if each.table != SPLIT or each.part in parts]
    if concerning:
        raise _refusal(workspace, concerning)


def _refusal(workspace: Workspace, errors: list[Finding]) -> DataError:
    first = errors[0]
    others = f"; {len(errors) - 1} more with errors" if len(errors) > 1 else ""
    return DataError(
        f"{first.table} {first.rule}: {first.count:,} ({first.first}){others}",
        "tables and a split without errors",
        f"mend what `recsys validate {workspace.root}` lists",
    )


def _stamp(workspace: Workspace) -> str | None:
    stamps = table_stamps(workspace)
    settings = workspace.config.model_dump_json()
    return None if stamps is None else digest(str(FORMAT), settings, *stamps)


def _passed(path: Path) -> str | None:
    try:
        stamp: str | None = json.loads(path.read_text(encoding="utf-8"))["stamp"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return stamp
