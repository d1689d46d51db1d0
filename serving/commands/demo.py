"""The quickstart: from data to a ranked slate over HTTP, shown step by step."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table

from data_contracts.errors import UsageError
from data_contracts.events import Impressions
from data_contracts.items import Items
from data_contracts.progress import Track
from data_contracts.slates import Candidate, RankRequest, RankResponse
from features.arrays.clock import DAY
from features.log.events import without_sessions
from features.log.history import last_interactions
from features.log.log import Log
from recsys.commands.console import Terminal, import_table
from recsys.datasets.complete_journey import import_complete_journey
from recsys.datasets.online_retail import import_online_retail
from recsys.datasets.simulation.run import simulate
from recsys.datasets.simulation.world.settings import SimulationSettings
from recsys.evaluation.evaluate import evaluate
from recsys.reports.evaluation import render_terminal, save_reports
from recsys.text.template import item_texts
from recsys.training.data import TrainingData
from recsys.training.slates import Requests
from recsys.training.train import train
from recsys.workspace.findings import render
from recsys.workspace.validate import validate
from recsys.workspace.workspace import Workspace
from serving.client import RankingClient
from serving.runtime.haproxy import free_ports
from serving.runtime.run import serve_bundle
from serving.settings import ServiceSettings

_SHOWN = 10
_STRONGEST = 3
_PAST = 5


def run_demo(data: str, source: Path | None, target: Path) -> None:
    """Run the whole loop and print what each step gives.

    Args:
        data: `simulated`, `complete-journey` or `online-retail`.
        source: Folder of the source files, where the data set needs one.
        target: Workspace to make; one that stands there is replaced.

    Raises:
        UsageError: The data set is unknown, or its source is missing.
    """
    console = Terminal()
    track = console.track
    began = time.monotonic()
    _step(console, 1, f"Data: {data}, into {target}")
    _make(data, source, target, console, track)
    workspace = Workspace.open(target)
    _step(console, 2, "Validation of the tables")
    report = validate(workspace, track=track)
    for line in render(report):
        if not line.plain.startswith("ok"):
            console.print(line, soft_wrap=True)
    if not report.ok:
        raise UsageError("errors in the data", "tables without errors", "see the lines above")
    _step(console, 3, "Features, text model, rankers")
    opened = TrainingData.open(workspace, track)
    version = train(opened, track=track)
    console.print(f"version of the bundle: {version}")
    _step(console, 4, "Evaluation on the test period")
    result = evaluate(opened, [version], f"recsys evaluate {target}", track)
    console.print(render_terminal(result))
    _, page = save_reports(workspace, result)
    _step(console, 5, "One slate over HTTP")
    requests = opened.slates(workspace.config.periods.test, _PAST)
    example = _choose(requests, opened.log, workspace.config.features.forget_days)
    (port,) = free_ports(1)
    settings = ServiceSettings(bundle=version, port=port, log_to_console=False)
    with serve_bundle(settings, blocking=False) as service, RankingClient(service.url) as client:
        answer = client.rank(example.request)
        _show(console, workspace, example, answer)
    minutes = (time.monotonic() - began) / 60
    console.print(f"\nAll of it took {minutes:.1f} minutes.", style="bold")
    _next(console, data, target, workspace.bundle(), page)


def _step(console: Terminal, number: int, title: str) -> None:
    console.print()
    console.rule(f"[bold]{number}. {title}", align="left")


def _make(data: str, source: Path | None, target: Path, console: Terminal, track: Track) -> None:
    def retail() -> object:
        if source is None:
            raise UsageError(
                "no --path",
                "the folder with the two Parquet files of Online Retail II",
                "recsys demo --data online-retail --path FOLDER",
            )
        return import_table(import_online_retail(source, target, overwrite=True, track=track))

    makers: dict[str, Callable[[], object]] = {
        "simulated": lambda: simulate(target, SimulationSettings(), overwrite=True, track=track),
        "complete-journey": lambda: import_table(
            import_complete_journey(target, source=source, overwrite=True, track=track)
        ),
        "online-retail": retail,
    }
    if data not in makers:
        raise UsageError(f"--data {data}", f"one of {', '.join(makers)}", "choose one of these")
    console.print(makers[data]())


@dataclass(frozen=True)
class _Example:
    """A request of the test period, as a call.

    Attributes:
        request: The call.
        past: Places of the user's last items as of the end of the log, newest first.
    """

    request: RankRequest
    past: tuple[int, ...]


def _choose(requests: Requests, log: Log, forget_days: int) -> _Example:
    """Choose the last request of the test whose user has a history, and rank its slate anew."""
    slates, frame = requests.slates, requests.frame
    offsets = slates.rows.offsets
    known = slates.history.lengths
    chosen = int(np.flatnonzero(known == known.max())[-1])
    low, high = int(offsets[chosen]), int(offsets[chosen + 1])
    rows = frame.slice(low, high - low)
    items = rows[Impressions.item_id.name].to_list()
    user = slates.rows.request_user[chosen : chosen + 1]
    end = np.array([log.end_day * DAY])
    interactions = without_sessions(log.interactions)
    past = last_interactions(interactions, user, end, _PAST, forget_days).item
    request = RankRequest(
        candidates=[Candidate(item_id=item) for item in items],
        user_id=rows[Impressions.user_id.name][0],
        explain=True,
        top_k=_SHOWN,
    )
    return _Example(request, tuple(past.tolist()))


def _show(console: Terminal, workspace: Workspace, example: _Example, answer: RankResponse) -> None:
    items = workspace.scan("items").collect()
    texts = item_texts(items, workspace.config.text.template)
    ids = items[Items.item_id.name].to_list()
    text_of = dict(zip(ids, texts.to_list(), strict=True))
    console.print(f"user {example.request.user_id}, whose last items at the end of the log are:")
    for place in example.past:
        console.print(f"  {_short(text_of[ids[place]], 90)}", style="dim")
    table = Table(title=f"POST /v1/rank: best {_SHOWN} of {len(example.request.candidates)}")
    table.add_column("#", justify="right")
    table.add_column("item")
    for name in ("score", "p", "match"):
        table.add_column(name, justify="right")
    table.add_column("strongest contributions")
    for place, item in enumerate(answer.items, start=1):
        strongest = list((item.contributions or {}).items())[:_STRONGEST]
        table.add_row(
            str(place),
            _short(text_of.get(item.item_id, item.item_id), 46),
            f"{item.score:.2f}",
            "-" if item.p_click is None else f"{item.p_click:.3f}",
            "-" if item.interest_match is None else f"{item.interest_match:.2f}",
            "\n".join(f"{name} {value:+.2f}" for name, value in strongest),
        )
    console.print(table)
    timings = ", ".join(f"{name} {value:.1f}" for name, value in answer.timings_ms.items())
    console.print(f"rung {answer.rung}, policy {answer.policy}, milliseconds: {timings}")
    console.print(
        "The candidates are those of the user's last slate in the log, ranked as of its end.",
        style="dim",
    )


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _next(console: Terminal, data: str, target: Path, bundle: Path, page: Path) -> None:
    console.print("\nWhat to try next:", style="bold")
    other = "simulated" if data == "complete-journey" else "complete-journey"
    about = {
        "simulated": "a shop with known truth",
        "complete-journey": "1.4 million grocery purchases",
    }
    for command, why in (
        (f"open {page}", "the report with plots"),
        (f"recsys serve {bundle}", "keep the service running; /openapi.json has its calls"),
        (f"recsys train {target} --seeds 3", "three seeds, then `recsys evaluate` with the same"),
        (f"recsys demo --data {other}", f"the same on {about[other]}"),
        (f"edit {target / 'recsys.toml'}", "windows, attributes, text template; then train again"),
    ):
        console.print(f"  {command:<52} {why}", soft_wrap=True, highlight=False)
