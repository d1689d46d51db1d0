"""The `recsys` command: the commands of all layers, put together."""
# ruff: noqa: PLC0415

import sys
from pathlib import Path
from typing import Annotated

import typer

from data_contracts.errors import RecsysError
from recsys.commands.app import SERVE, app
from recsys.commands.console import Terminal, error_text

__all__ = ["app", "main"]


@app.callback()
def _recsys() -> None:
    """Rank items by what their text says and what users do."""


@app.command(rich_help_panel=SERVE)
def serve(
    bundle: Annotated[
        Path, typer.Argument(help="The bundle, or one of its versions.", show_default=False)
    ],
    port: Annotated[
        int | None,
        typer.Option(help="Port to listen on; RECSYS_PORT, or 8000, when absent."),
    ] = None,
) -> None:
    """Serve a bundle over HTTP until interrupted; RECSYS_* variables set the rest."""
    from serving.runtime.run import serve_bundle
    from serving.settings import ServiceSettings

    settings = ServiceSettings.read(bundle, port)
    serve_bundle(settings, blocking=True, announce=_announce)


def _announce(url: str) -> None:
    console = Terminal()
    console.print(
        f"ready at [bold]{url}[/bold]: POST /v1/rank, GET /v1/model, /openapi.json, /healthz"
    )
    console.print("stop with Ctrl-C")


@app.command(rich_help_panel=SERVE)
def demo(
    data: Annotated[
        str, typer.Option(help="simulated, complete-journey or online-retail.")
    ] = "simulated",
    path: Annotated[
        Path | None, typer.Option(help="Folder of the source files; online-retail needs it.")
    ] = None,
    target: Annotated[
        Path | None, typer.Option(help="Workspace to make; workspaces/<data> when absent.")
    ] = None,
) -> None:
    """The whole loop: data, features, training, evaluation, and a slate ranked over HTTP."""
    from serving.commands.demo import run_demo

    run_demo(data, path, target or Path("workspaces") / data)


def main() -> None:
    """Run the command line; an error that a person can act on is shown as such."""
    try:
        app()
    except RecsysError as error:
        Terminal(stderr=True).print(error_text(error), soft_wrap=True)
        sys.exit(1)
