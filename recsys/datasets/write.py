"""Folder of an imported workspace: checked beforehand, then written whole or not at all."""

from collections.abc import Sequence
from pathlib import Path

import dataframely as dy
import polars as pl

from data_contracts.errors import DataError, UsageError
from data_contracts.events import Impressions, Interactions
from data_contracts.items import Items
from data_contracts.storage import atomic_folder, write_parquet
from recsys.datasets.ledger import ImportReport, Ledger
from recsys.workspace.config import CONFIG_NAME, WorkspaceConfig, write_config
from recsys.workspace.workspace import Workspace

REPORT_NAME = "import_report.json"

_ORDER = {
    "items": (Items.item_id.name, Items.updated_at.name, Items.ingested_at.name),
    "impressions": (
        Impressions.timestamp.name,
        Impressions.request_id.name,
        Impressions.position.name,
    ),
    "interactions": (Interactions.timestamp.name, Interactions.event_id.name),
}


def check_target(target: Path, source: Path | None = None, *, overwrite: bool) -> None:
    """Refuse a target that holds something else, or a workspace nobody agreed to replace.

    Args:
        target: The folder to be made.
        source: Folder that is read, None for none; it must not lie inside the target.
        overwrite: Whether a workspace may be replaced, with all that was computed in it.

    Raises:
        UsageError: The target is a file, a folder with other content, a workspace although
            `overwrite` is false, or holds the source.
    """
    if source is not None and source.resolve().is_relative_to(target.resolve()):
        raise UsageError(
            f"the source {source} lies in the target {target}",
            "a target apart from the source, since it is replaced whole",
            "choose another target",
        )
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not (target / CONFIG_NAME).is_file():
        kind = "a folder with other content" if target.is_dir() else "a file"
        raise UsageError(
            f"{target} is {kind}",
            f"a new folder, or a workspace with a {CONFIG_NAME}",
            "choose another target; nothing was written",
        )
    if not overwrite:
        raise UsageError(
            f"{target} is a workspace already",
            "a new folder, or leave to replace it with all that was computed in it",
            "choose another target, or ask for overwriting",
        )


def write_workspace(
    target: Path,
    config: WorkspaceConfig,
    items: pl.DataFrame,
    impressions: pl.DataFrame,
    interactions: pl.DataFrame,
    ledgers: Sequence[Ledger],
) -> ImportReport:
    """Write the folder: `recsys.toml`, the three tables and the report.

    Args:
        target: The folder, replaced whole.
        config: Content of `recsys.toml`.
        items: Rows of the contract's columns; nullable ones may be absent. Any order.
        impressions: The same for impressions.
        interactions: The same for interactions.
        ledgers: The account of the rows read.

    Returns:
        The report, as saved.

    Raises:
        DataError: A table would be empty.
    """
    frames = {"items": items, "impressions": impressions, "interactions": interactions}
    for table, frame in frames.items():
        if frame.is_empty():
            raise DataError(
                f"no rows are left for the table {table}",
                "at least one",
                "check that the source is the whole data set; nothing was written",
            )
    report = ImportReport(
        workspace=config.name,
        ledgers=tuple(ledgers),
        tables={table: frame.height for table, frame in frames.items()},
    )
    with atomic_folder(target) as part:
        workspace = Workspace(part, config)
        for table, frame in frames.items():
            rows = _in_contract_form(frame, workspace.contract(table)).sort(_ORDER[table])
            write_parquet(rows, Path(workspace.location(table)))
        write_config(config, part / CONFIG_NAME)
        (part / REPORT_NAME).write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return report


def _in_contract_form(frame: pl.DataFrame, contract: type[dy.Schema]) -> pl.DataFrame:
    """Bring columns to the contract's order and types; columns it does not know are left out."""
    return frame.select(
        (pl.col(name) if name in frame.columns else pl.lit(None)).cast(column.dtype).alias(name)
        for name, column in contract.columns().items()
    )
