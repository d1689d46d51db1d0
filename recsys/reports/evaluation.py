"""Report of an evaluation: terminal table, Markdown and HTML page."""

import math
from pathlib import Path

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from data_contracts.storage import write_text
from recsys.evaluation.result import (
    HEADLINE,
    TEXT_AND_BEHAVIOUR,
    Difference,
    EvaluationResult,
    RankerFacts,
    save_result,
)
from recsys.metrics.calibration import calibration_error
from recsys.metrics.intervals import Estimate
from recsys.reports import plots as figures
from recsys.reports.numbers import number, share, signed
from recsys.reports.page import render_page
from recsys.workspace.workspace import Workspace

EVALUATION = "evaluation"

_SHOWN_COLUMNS, _NAMED = 15, 3
"""Columns of a ranker on the page, and in the terminal."""

_ORIGIN = {"real": "Real data.", "simulated": "Simulated data: no person made these events."}
_SLATES = {
    "logged": "Slates as they were shown.",
    "sampled": "Sampled slates: candidates were drawn around what was chosen, not shown to anyone.",
}


def save_html(result: EvaluationResult, path: Path) -> None:
    """Write the page, whole or not at all."""
    write_text(path, render_html(result))


def data_caption(result: EvaluationResult) -> str:
    """Say in one line what must be known before any figure is read."""
    parts = (_ORIGIN[result.data_origin], _SLATES[result.slate_source], result.note)
    return f"{result.data_name}. " + " ".join(part for part in parts if part)


def interval(estimate: Estimate | None) -> str:
    """Write a mean with its interval, a dash when there is none."""
    if estimate is None or math.isnan(estimate.mean):
        return "-"
    return f"{number(estimate.mean)} [{number(estimate.low)}, {number(estimate.high)}]"


def comparison(difference: Difference) -> str:
    """Say what was compared with what, and the difference."""
    found = difference.estimate
    return (
        f"{difference.metric}, {difference.slice}: {difference.model} against "
        f"{difference.baseline} {signed(found.mean)} "
        f"[{signed(found.low)}, {signed(found.high)}]"
    )


def sentence(difference: Difference) -> str:
    """Say what a comparison found and what it shows."""
    return f"{comparison(difference)}, {difference.verdict}"


def render_terminal(result: EvaluationResult) -> RenderableType:
    """Give one table per slice, then the comparisons, under a line that says what the data are."""
    metrics = [metric for metric in result.metrics if metric in HEADLINE]
    parts: list[RenderableType] = [
        Text(data_caption(result), "bold"),
        Text(_method(result), "dim"),
        Text(f"Bundle: {result.bundle}", "dim"),
    ]
    for name in result.slices:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, title_justify="left")
        table.title = Text(slice_title(result, name), "bold")
        table.add_column("model", no_wrap=True)
        for metric in metrics:
            table.add_column(metric, no_wrap=True, justify="right")
        for model in result.models:
            cells = [interval(result.estimate(name, model, metric)) for metric in metrics]
            table.add_row(model, *cells)
        parts += [Text(""), table]
        if warning := slice_warning(result, name):
            parts.append(Text(warning, "yellow"))
    if result.headline:
        parts += [Text(""), Text("Paired differences", "bold")]
    parts += [Text(f"- {sentence(each)}") for each in result.headline]
    if result.rankers:
        parts += [Text(""), Text("Rankers", "bold")]
    parts += [Text(f"- {line}") for line in _rankers(result)]
    return Group(*parts)


def render_markdown(result: EvaluationResult) -> str:
    """Give the same as `render_terminal` in Markdown, with the command that makes it."""
    metrics = [metric for metric in result.metrics if metric in HEADLINE]
    lines = [data_caption(result), "", _method(result), ""]
    lines += [f"Bundle: {result.bundle}.", "", f"Made by `{result.command}`."]
    for name in result.slices:
        lines += ["", f"| {slice_title(result, name)} | {' | '.join(metrics)} |"]
        lines.append("|---" * (1 + len(metrics)) + "|")
        for model in result.models:
            cells = [interval(result.estimate(name, model, metric)) for metric in metrics]
            lines.append(f"| {model} | {' | '.join(cells)} |")
        if warning := slice_warning(result, name):
            lines += ["", f"**{warning}**"]
    if result.headline:
        lines += ["", "Paired differences:", ""]
    lines += [f"- {sentence(each)}" for each in result.headline]
    if result.rankers:
        lines += ["", "Rankers:", ""]
    lines += [f"- {line}" for line in _rankers(result)]
    return "\n".join(lines) + "\n"


def render_html(result: EvaluationResult) -> str:
    """Give one self-contained page: tables, plots, and how to read them."""
    values = {
        "title": f"Ranking evaluation: {result.data_name}",
        "result": result,
        "data_caption": data_caption(result),
        "method": _method(result),
        "highlighted": TEXT_AND_BEHAVIOUR,
        "bars": _bars(result),
        "calibration": figures.calibration(result.calibration) if result.calibration else "",
        "calibration_error": calibration_error(list(result.calibration)),
        "history": _history(result),
        "interval": interval,
        "comparison": comparison,
        "trees_of": trees_of,
        "number": number,
        "percent": share,
        "shown_columns": _SHOWN_COLUMNS,
        "slice_title": slice_title,
        "slice_warning": slice_warning,
    }
    return render_page("evaluation.html", values)


def slice_title(result: EvaluationResult, name: str) -> str:
    """Name a slice, with the requests that have a value, and how many were left out."""
    size = result.size(name)
    if size is None:
        return name
    who = "users or guests" if result.n_guests else "users"
    left_out = (
        (size.n_without_positive, "without a positive"),
        (size.n_only_positives, "with positives only"),
    )
    counted = [f"{count:,} {why}" for count, why in left_out if count]
    rest = f"; left out: {', '.join(counted)}" if counted else ""
    requests = _requests(size.n_judged, size.showings)
    return f"{name}: {requests} of {size.n_users:,} {who}{rest}"


def slice_warning(result: EvaluationResult, name: str) -> str:
    """Say why a slice says nothing of its own; empty when it may."""
    size = result.size(name)
    if size is None or size.says_nothing is None:
        return ""
    held = f"{share(size.share_of_requests)} of the requests that can be judged"
    if size.says_nothing == "too wide":
        return f"Too wide: {held}; it says nothing that the whole test does not."
    return f"Too narrow: {held}; it says nothing."


def _rankers(result: EvaluationResult) -> list[str]:
    """Say in a line per ranker how many trees it has, and what it leans on most."""
    return [
        f"{each.model}: {trees_of(each)} trees, gain from "
        + ", ".join(f"{part.column} {share(part.share)}" for part in each.importances[:_NAMED])
        for each in result.rankers
    ]


def trees_of(ranker: RankerFacts) -> str:
    """List a ranker's numbers of trees, one for each bundle."""
    return ", ".join(f"{count:,}" for count in ranker.trees)


def _method(result: EvaluationResult) -> str:
    guests = f", {result.n_guests:,} of them of guests" if result.n_guests else ""
    return (
        f"Test from {result.test_start:%Y-%m-%d} until {result.test_end:%Y-%m-%d}, "
        f"{_requests(result.n_requests, result.showings)} of {result.n_users:,} users{guests}, "
        f"{share(result.share_with_text)} of the candidates with text, "
        f"{result.n_versions:,} versions of items, each as of its request{_odd(result)}; "
        f"means over {'requests' if result.showings is None else 'showings'}, "
        f"{result.level:.0%} bootstrap intervals over users."
    )


def _odd(result: EvaluationResult) -> str:
    """Say what of the candidates a bundle could not know."""
    parts = ""
    if result.share_unknown:
        parts += f", {share(result.share_unknown)} of the candidates unknown then"
    if result.unseen_values:
        parts += f", {result.unseen_values:,} attribute values that no training had seen"
    return parts


def _requests(count: int, showings: float | None) -> str:
    """Tell a number of requests, and the showings they stand for where those are others."""
    stand_for = "" if showings is None else f" (for {showings:,.0f} showings)"
    return f"{count:,} requests{stand_for}"


def _bars(result: EvaluationResult) -> str:
    if not result.metrics:
        return ""
    metric = result.metrics[0]
    panels = {
        name: {
            model: found
            for model in result.models
            if (found := result.estimate(name, model, metric)) is not None
        }
        for name in result.slices
    }
    return figures.bars(panels, result.models, metric, highlighted=TEXT_AND_BEHAVIOUR)


def _history(result: EvaluationResult) -> str:
    if not result.gain_by_history:
        return ""
    first = result.gain_by_history[0]
    return figures.gains(
        {each.slice: each.estimate for each in result.gain_by_history},
        f"{first.metric}, {first.model} minus {first.baseline}",
    )


def save_reports(
    workspace: Workspace, result: EvaluationResult, name: str = EVALUATION
) -> list[Path]:
    """Write the result as JSON and as a page, under a name, into the workspace's reports."""
    paths = [workspace.reports / f"{name}.{ending}" for ending in ("json", "html")]
    save_result(result, paths[0])
    save_html(result, paths[1])
    return paths
