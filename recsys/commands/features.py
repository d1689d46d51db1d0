"""The commands on features: what they are, what to choose, and how good they are.

Each command imports what it needs when it runs, so that `recsys --help` answers at once.
"""
# ruff: noqa: PLC0415

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from recsys.commands.console import Terminal

if TYPE_CHECKING:
    from features.backfill.run import Scope
    from features.checks.quality import QualityReport
    from recsys.workspace.workspace import Workspace

WorkspaceArgument = Annotated[
    Path, typer.Argument(help="Folder with recsys.toml.", show_default=False)
]

features = typer.Typer(no_args_is_help=True)


@features.command("list")
def list_features(
    workspace: Annotated[
        Path | None,
        typer.Argument(help="Folder with recsys.toml; absent: the default set of logged slates."),
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print as Markdown.")] = False,
) -> None:
    """List each column with its meaning, unit, window, missing value and source events."""
    from features.defaults import default_features
    from features.settings import FeatureSettings
    from recsys.labels.grades import LabelSettings
    from recsys.reports.features import list_markdown, render_list
    from recsys.workspace.feature_sets import features_of, row_features
    from recsys.workspace.workspace import Workspace

    console = Terminal()
    if workspace is None:
        chosen = default_features(FeatureSettings(), list(LabelSettings().grades), logged=True)
        beside = []
    else:
        config = Workspace.open(workspace).config
        chosen = features_of(config)
        beside = list(row_features(config).features[len(chosen.features) :])
    if markdown:
        console.print(list_markdown(chosen), soft_wrap=True, highlight=False, end="")
    else:
        console.print(render_list(chosen, beside))


@features.command("quality")
def check_features(workspace: WorkspaceArgument) -> None:
    """Report the coverage, distribution and drift of each feature; a rate above 1 fails."""
    from recsys.workspace.workspace import Workspace

    console = Terminal()
    show_quality(Workspace.open(workspace), console).require_rates()


def show_quality(workspace: "Workspace", console: Terminal) -> "QualityReport":
    """Look at the features that were computed, print what stands out, and write the reports."""
    from recsys.reports.quality import render_quality, save_quality
    from recsys.workspace.checks import check_quality

    report = check_quality(workspace, workspace.rows, console.track)
    console.print(render_quality(report))
    for path in save_quality(report, workspace.reports):
        console.print(f"wrote {path}")
    return report


@features.command("init")
def propose_features(
    workspace: WorkspaceArgument,
    write: Annotated[
        bool, typer.Option("--write", help="Put the columns into recsys.toml.")
    ] = False,
) -> None:
    """Propose features that fit the data, and say why."""
    from recsys.workspace.config import CONFIG_NAME, write_columns
    from recsys.workspace.facts import read_facts
    from recsys.workspace.propose import propose, render_proposal
    from recsys.workspace.workspace import Workspace

    console = Terminal()
    opened = Workspace.open(workspace)
    proposal = propose(read_facts(opened), opened.config)
    console.print(render_proposal(proposal))
    console.print(proposal.toml(), highlight=False, soft_wrap=True)
    path = workspace / CONFIG_NAME
    if write:
        write_columns(proposal.settings.columns or (), path)
        console.print(f"wrote {path}: compute the features and train again")
    else:
        console.print(f"nothing was written: --write puts this into {path}")


@features.command("parity")
def compare_executors(
    workspace: WorkspaceArgument,
    since: Annotated[
        str | None, typer.Option("--from", help="First day compared, YYYY-MM-DD.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", help="Last day compared, YYYY-MM-DD.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Requests compared, spread evenly; absent: all.")
    ] = None,
    logged: Annotated[
        Path | None,
        typer.Option(help="Features as a server logged them, .parquet or .jsonl, to compare."),
    ] = None,
) -> None:
    """Compare the online executor's features, or a server's, with the backfill's."""
    from recsys.workspace.checks import check_logged, check_parity, render_parity
    from recsys.workspace.workspace import Workspace

    console = Terminal()
    opened = Workspace.open(workspace)
    if logged is not None:
        report = check_logged(opened, logged)
    else:
        report = check_parity(opened, since, until, limit, console.track)
    for line in render_parity(report):
        console.print(line, soft_wrap=True, highlight=False)
    if not report.is_equal:
        raise typer.Exit(1)


def backfill_scope(
    first: datetime | None,
    until: datetime | None,
    features: str | None,
    names: Sequence[str],
    engine: Literal["local", "ray"],
    workers: int,
    *,
    again: bool,
) -> "Scope":
    """Read what a backfill is asked for.

    Args:
        first: First day, None for where the split says.
        until: The day after the last, None for the end of the log.
        features: Names of columns with commas between, None for all.
        names: The columns that the workspace declares.
        engine: Who computes.
        workers: How many at once.
        again: Whether to compute what still holds.

    Returns:
        The scope.

    Raises:
        UsageError: A column is not declared.
    """
    from data_contracts.errors import UsageError
    from features.backfill.run import Scope

    chosen = None if features is None else [name.strip() for name in features.split(",")]
    unknown = sorted(set(chosen or ()) - set(names))
    if unknown:
        raise UsageError(
            f"no column {', '.join(unknown)}",
            f"some of {', '.join(names)}",
            "see `recsys features list`",
        )
    low, high = (
        None if day is None else (day - datetime(1970, 1, 1)).days for day in (first, until)
    )
    return Scope(low, high, chosen, again, engine, workers)
