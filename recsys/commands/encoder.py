"""The commands of the encoder: compare backends, encode a catalogue."""
# ruff: noqa: PLC0415

from pathlib import Path
from typing import Annotated, Literal

import typer

from recsys.commands.console import Terminal

WorkspaceArgument = Annotated[
    Path, typer.Argument(help="Folder with recsys.toml.", show_default=False)
]

app = typer.Typer(no_args_is_help=True)


@app.command()
def bench(
    workspace: WorkspaceArgument,
    texts: Annotated[int, typer.Option(min=1, help="Texts to time each backend on.")] = 1000,
    write: Annotated[
        bool, typer.Option("--write", help="Write the fastest that is good enough to recsys.toml.")
    ] = False,
) -> None:
    """Compare the backends: texts per second, and what each costs in nDCG@10."""
    from recsys.evaluation.encoder_bench import bench_encoders, bench_table, fastest, write_backend
    from recsys.workspace.workspace import Workspace

    console = Terminal()
    opened = Workspace.open(workspace)
    found = bench_encoders(opened, texts, track=console.track)
    console.print(bench_table(found, opened.config.encoding.max_loss))
    chosen = fastest(found, opened.config.encoding.max_loss)
    console.print(
        f"fastest that loses at most {opened.config.encoding.max_loss} of nDCG@10: {chosen.backend}"
    )
    if write:
        console.print(f"wrote {write_backend(opened, chosen.backend)}; train again to use it")


@app.command()
def embed(
    workspace: WorkspaceArgument,
    precision: Annotated[
        Literal["float32", "float16", "int8"] | None,
        typer.Option(help="How vectors are kept; as recsys.toml says when absent."),
    ] = None,
    engine: Annotated[
        Literal["local", "ray"], typer.Option(help="In this process, or on a Ray cluster.")
    ] = "local",
    workers: Annotated[int, typer.Option(min=1, help="Workers on Ray.")] = 2,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to join; by default RAY_ADDRESS or a local one.")
    ] = None,
) -> None:
    """Encode the catalogue's texts that have no vector yet; may be stopped and started again."""
    from recsys.text.encoder.open import open_encoder
    from recsys.text.vectors.embed import embed_items
    from recsys.text.vectors.embed_on_ray import embed_on_ray
    from recsys.text.vectors.store import VectorStore
    from recsys.workspace.workspace import Workspace

    console = Terminal()
    track = console.track
    opened = Workspace.open(workspace)
    text, encoding = opened.config.text, opened.config.encoding
    if precision is not None:
        encoding = encoding.model_copy(update={"precision": precision})
    items, cache = opened.scan("items"), opened.cache
    if engine == "ray":
        report = embed_on_ray(
            items, text, encoding, cache, workers=workers, address=address, track=track
        )
    else:
        encoder = open_encoder(text, encoding, cache)
        store = VectorStore.of(encoder, cache, encoding.precision)
        report = embed_items(items, text, encoder, store, track)
    console.print(
        f"{report.items:,} items: {report.encoded:,} texts encoded now, {report.without_text:,} "
        f"items without text, {report.cut:,} cut at {text.max_tokens} tokens"
    )
