"""The commands of this layer: make or import data, validate, compute features, train, evaluate.

Each command imports what it needs when it runs, so that `recsys --help` answers at once.
"""
# ruff: noqa: PLC0415

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from recsys.commands.console import Terminal
from recsys.commands.data import Seed, imports, simulate
from recsys.commands.default_group import DEFAULT, DefaultGroup
from recsys.commands.encoder import app as encoder
from recsys.commands.features import WorkspaceArgument, features, show_quality

DATA, TRAIN, JUDGE, SERVE = "Data", "Train", "Judge", "Serve"
"""Groups of `recsys --help`, in its order."""

app = typer.Typer()
app.command(rich_help_panel=DATA)(simulate)
app.add_typer(
    imports, name="import", help="Turn a public data set into a workspace.", rich_help_panel=DATA
)
app.add_typer(
    features,
    name="features",
    help="List, propose and check the features of a workspace.",
    rich_help_panel=TRAIN,
)
app.add_typer(
    encoder,
    name="encoder",
    help="Compare text encoder backends; encode a catalogue.",
    rich_help_panel=TRAIN,
)
training = typer.Typer(cls=DefaultGroup, no_args_is_help=True)
app.add_typer(
    training, name="train", help="Train a bundle, or the text model alone.", rich_help_panel=TRAIN
)


@app.command(rich_help_panel=DATA)
def contracts(
    folder: Annotated[Path, typer.Argument(help="Where to write the schemas.")] = Path("contracts"),
) -> None:
    """Write the data contracts as Arrow and JSON Schema, and print them."""
    from rich.markdown import Markdown

    from data_contracts.export import contracts_markdown, write_contracts

    console = Terminal()
    console.print(Markdown(contracts_markdown()))
    for path in write_contracts(folder):
        console.print(f"wrote {path}")


@app.command(rich_help_panel=DATA)
def validate(workspace: WorkspaceArgument) -> None:
    """Check every rule of the contracts; rejected rows are written with their reasons."""
    from recsys.workspace.findings import render
    from recsys.workspace.validate import validate as run
    from recsys.workspace.workspace import Workspace

    console = Terminal()
    report = run(Workspace.open(workspace), track=console.track)
    for line in render(report):
        console.print(line, soft_wrap=True)
    if not report.ok:
        raise typer.Exit(1)


@app.command(rich_help_panel=TRAIN)
def backfill(
    workspace: WorkspaceArgument,
    first: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], help="First day; else where the split says."),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option("--to", formats=["%Y-%m-%d"], help="The day after the last; else the end."),
    ] = None,
    features: Annotated[
        str | None, typer.Option(help="Columns to compute, with commas between; else all.")
    ] = None,
    engine: Annotated[
        Literal["local", "ray"], typer.Option(help="Threads here, or a Ray cluster.")
    ] = "local",
    workers: Annotated[
        int, typer.Option(min=1, help="Threads; with --engine ray, blocks of days at once.")
    ] = 2,
    again: Annotated[
        bool, typer.Option("--again", help="Compute even what is there and still holds.")
    ] = False,
) -> None:
    """Bring the features of every request after the text model's period up to date."""
    from recsys.commands.features import backfill_scope
    from recsys.workspace.backfill import log_facts, open_workspace_log, run_backfill
    from recsys.workspace.feature_sets import row_features
    from recsys.workspace.fitness import require_fit
    from recsys.workspace.workspace import Workspace

    console = Terminal()
    track = console.track
    opened = Workspace.open(workspace)
    names = row_features(opened.config).names
    scope = backfill_scope(first, until, features, names, engine, workers, again=again)
    require_fit(opened, (), track)
    log = open_workspace_log(opened)
    console.print(*log_facts(log), sep="\n", soft_wrap=True)
    run_backfill(
        opened, log, scope=scope, track=track, tell=lambda line: console.print(f"stale: {line}")
    )
    console.print(opened.features)
    if scope.columns is None:
        show_quality(opened, console)


@training.command(DEFAULT)
def train(
    workspace: WorkspaceArgument,
    seeds: Annotated[int, typer.Option(min=1, help="Bundles to train, from seed 0 on.")] = 1,
) -> None:
    """Compute what features are missing, fine-tune the text model, train the rankers.

    A text model that `recsys train encoder` left for a seed is taken as it is.
    """
    from recsys.bundle.versions import open_version
    from recsys.training.data import TrainingData
    from recsys.training.train import train as run
    from recsys.workspace.backfill import log_facts
    from recsys.workspace.workspace import Workspace

    console = Terminal()
    track = console.track
    opened = Workspace.open(workspace)
    data = TrainingData.open(opened, track)
    console.print(*log_facts(data.log), sep="\n", soft_wrap=True)
    for seed in range(seeds):
        version = open_version(run(data, seed=seed, track=track))
        told = version.manifest
        scores = ", ".join(f"{name} {v:.3f}" for name, v in told.metrics.items())
        console.print(f"{opened.bundle(seed)} is version {version.name}", soft_wrap=True)
        console.print(f"nDCG@10 on the validation period: {scores}")
        if told.cut_texts:
            limit = opened.config.text.max_tokens
            console.print(f"{told.cut_texts:,} item texts were cut at {limit} tokens")


@training.command("encoder")
def train_encoder(
    workspace: WorkspaceArgument,
    mode: Annotated[
        str | None,
        typer.Option(help="head, top_layers, lora or full; absent: as in recsys.toml."),
    ] = None,
    seed: Seed = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from where training was interrupted.")
    ] = False,
    precision: Annotated[
        str, typer.Option(help="fp32, or bf16 where the device has units for it.")
    ] = "fp32",
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, ...; a GPU when there is one.")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes or GPUs that share each step, through Ray Train.")
    ] = 1,
) -> None:
    """Fine-tune the text model alone, and keep it for `recsys train`.

    The learning curve is in training/seed-N of the workspace, as JSON lines and for TensorBoard.
    """
    from recsys.training.encoder_job import EncoderTraining, train_and_tell

    console = Terminal()
    asked = EncoderTraining.checked(
        {
            "mode": mode,
            "seed": seed,
            "resume": resume,
            "precision": precision,
            "device": device,
            "workers": workers,
        }
    )
    for line in train_and_tell(workspace, asked, console.track):
        console.print(line, soft_wrap=True)


@app.command(rich_help_panel=JUDGE)
def evaluate(
    workspace: WorkspaceArgument,
    seeds: Annotated[
        int, typer.Option(min=1, help="Bundles to average over: as many as were trained.")
    ] = 1,
    bundle: Annotated[
        list[Path] | None,
        typer.Option(help="Bundles or versions; the workspace's when absent."),
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print as Markdown.")] = False,
    cold: Annotated[
        bool, typer.Option("--cold", help="Simulate a launch of items that nobody has met.")
    ] = False,
    share: Annotated[
        float, typer.Option(help="With --cold: share of the catalogue that is launched.")
    ] = 0.15,
) -> None:
    """Compare the ranker with simpler orders on the test period; writes reports/ too.

    With --cold, text models and rankers are trained anew on a log without the launched items.
    """
    from recsys.evaluation.cold_start import COLD, evaluate_cold
    from recsys.evaluation.evaluate import evaluate as run
    from recsys.reports.evaluation import EVALUATION, render_markdown, render_terminal, save_reports
    from recsys.training.data import TrainingData
    from recsys.workspace.backfill import log_facts, open_workspace_log
    from recsys.workspace.fitness import require_fit
    from recsys.workspace.shortages import TEST
    from recsys.workspace.workspace import Workspace

    console = Terminal()
    notes = Terminal(stderr=markdown)  # so that what is piped is the Markdown alone
    track = notes.track
    opened = Workspace.open(workspace)
    several = f" --seeds {seeds}" if seeds > 1 else ""
    command = f"recsys evaluate {workspace}{several}"
    if cold and bundle:
        raise typer.BadParameter("--cold trains anew what recsys.toml says: it takes no --bundle")
    if cold:
        require_fit(opened, track=track)
        command = f"{command} --cold --share {share:g}"
        notes.print(*log_facts(open_workspace_log(opened)), sep="\n", soft_wrap=True)
        result = evaluate_cold(opened, share, seeds, command, track)
    else:
        data = TrainingData.open(opened, track, (TEST,))
        notes.print(*log_facts(data.log), sep="\n", soft_wrap=True)
        data.compute_features(track)
        bundles = bundle or [opened.bundle(seed) for seed in range(seeds)]
        named = "".join(f" --bundle {path}" for path in bundle or [])
        result = run(data, bundles, command + named, track)
    if markdown:
        typer.echo(render_markdown(result), nl=False)
    else:
        console.print(render_terminal(result))
    for path in save_reports(opened, result, COLD if cold else EVALUATION):
        notes.print(f"wrote {path}")


@app.command(rich_help_panel=JUDGE)
def explain(
    workspace: WorkspaceArgument,
    item: Annotated[str, typer.Option(help="The item to explain.", show_default=False)],
    user: Annotated[
        str | None, typer.Option(help="Whose history; the default profile when absent.")
    ] = None,
    query: Annotated[str | None, typer.Option(help="What was searched for.")] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(help="Bundle or version; `current` when absent."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Why an item's text matches a user: past items and words, with what each of them adds.

    Needs the extra `explain`. Histories are those of the bundle's cut-off.
    """
    from recsys.explain import explain as run
    from recsys.reports.explanation import explanation_view
    from recsys.workspace.workspace import Workspace

    opened = Workspace.open(workspace)
    found = run(opened, bundle or opened.bundle(), item, user, query)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        Terminal().print(explanation_view(found))
