"""The result of an evaluation: kept as JSON, shown as a table, explained as a page."""

import math
from pathlib import Path
from typing import Literal

from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from data_contracts.errors import DataError
from data_contracts.storage import atomic_file
from recsys import figures
from recsys.bootstrap import Estimate, number, signed
from recsys.metrics import AUC, MRR, NDCG_AT_10, CalibrationBin, calibration_error

RESULT_VERSION = 1

RANDOM = "random"
POPULARITY = "popularity"
LOGGED_ORDER = "logged order"
SAMPLED_ORDER = "sampled order"
TEXT_ONLY = "text only"
BEHAVIOUR_ONLY = "behaviour only"
TEXT_AND_BEHAVIOUR = "text and behaviour"

HEADLINE = (NDCG_AT_10, MRR, AUC)

_ORIGIN = {"real": "Real data.", "simulated": "Simulated data: no person made these events."}
_SLATES = {
    "logged": "Slates as they were shown.",
    "sampled": "Sampled slates: candidates were drawn around what was chosen, not shown to anyone.",
}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SliceValue(_Part):
    """How one model did by one metric on one slice of the requests."""

    slice: str = Field(description="Which requests, or which of their items, are looked at.")
    model: str = Field(description="Who ordered the candidates.")
    metric: str = Field(description="What was computed per request.")
    estimate: Estimate = Field(description="Mean over requests, interval over users.")


class Difference(_Part):
    """How much better one model did than another, request by request."""

    slice: str = Field(description="Which requests, or which of their items, are looked at.")
    metric: str = Field(description="What was computed per request.")
    model: str = Field(description="The model.")
    baseline: str = Field(description="The model it is compared with.")
    estimate: Estimate = Field(description="Mean of model minus baseline.")

    @property
    def verdict(self) -> Literal["better", "worse", "no difference shown"]:
        """What the interval allows to say; a difference without an interval shows nothing."""
        if self.estimate.low > 0:
            return "better"
        return "worse" if self.estimate.high < 0 else "no difference shown"


class EvaluationResult(_Part):
    """Everything an evaluation found, and about what."""

    format: Literal[1] = Field(1, description="Version of this form.")
    data_name: str = Field(description="Name of the data set.")
    data_origin: Literal["real", "simulated"] = Field(description="Who made the events.")
    slate_source: Literal["logged", "sampled"] = Field(description="Where slates come from.")
    note: str = Field("", description="What every report must say about the data.")
    bundle: str = Field(description="Fingerprint of the bundle that was evaluated.")
    command: str = Field(description="The command that makes this result again.")
    test_start: AwareDatetime = Field(description="First moment of the test period.")
    test_end: AwareDatetime = Field(description="First moment after the test period.")
    n_requests: int = Field(ge=0, description="Requests in the test period.")
    n_users: int = Field(ge=0, description="Users they come from, without guests.")
    n_guests: int = Field(0, ge=0, description="Requests of guests among them.")
    level: float = Field(0.95, gt=0, lt=1, description="Level of all intervals.")
    values: tuple[SliceValue, ...] = Field(description="In the order they are to be shown.")
    differences: tuple[Difference, ...] = Field((), description="Paired comparisons.")
    calibration: tuple[CalibrationBin, ...] = Field(
        (), description="Predicted probabilities against outcomes, by rising prediction."
    )
    gain_by_history: tuple[Difference, ...] = Field(
        (), description="One comparison on slices by length of the user's history, rising."
    )

    @property
    def slices(self) -> list[str]:
        """Slices in the order they were given."""
        return list(dict.fromkeys(each.slice for each in self.values))

    @property
    def models(self) -> list[str]:
        """Models in the order they were given."""
        return list(dict.fromkeys(each.model for each in self.values))

    @property
    def metrics(self) -> list[str]:
        """Metrics: those of the headline first, then the others in the order they were given."""
        found = dict.fromkeys(each.metric for each in self.values)
        return [*(m for m in HEADLINE if m in found), *(m for m in found if m not in HEADLINE)]

    def estimate(self, slice_name: str, model: str, metric: str) -> Estimate | None:
        """Give one estimate, None when it was not computed."""
        wanted = (slice_name, model, metric)
        found = (v.estimate for v in self.values if (v.slice, v.model, v.metric) == wanted)
        return next(found, None)

    def size(self, slice_name: str) -> str:
        """Say how many requests of a slice have a value, and of how many users or guests."""
        found = [each.estimate for each in self.values if each.slice == slice_name]
        requests = max((each.n_requests for each in found), default=0)
        users = max((each.n_clusters for each in found), default=0)
        who = "users or guests" if self.n_guests else "users"
        return f"{requests:,} requests with a positive of {users:,} {who}"


def save_result(result: EvaluationResult, path: Path) -> None:
    """Write the result as JSON, whole or not at all; what is not a number becomes null."""
    with atomic_file(path) as part:
        part.write_text(result.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_result(path: Path) -> EvaluationResult:
    """Read a result that `save_result` wrote.

    Args:
        path: The JSON file.

    Returns:
        The result.

    Raises:
        DataError: The file is missing, or is no result of this version.
    """
    try:
        return EvaluationResult.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise DataError(
            f"{path}: {str(error).splitlines()[0]}",
            f"an evaluation result of format {RESULT_VERSION}",
            "evaluate again with `recsys evaluate`",
        ) from error


def save_html(result: EvaluationResult, path: Path) -> None:
    """Write the page, whole or not at all."""
    with atomic_file(path) as part:
        part.write_text(render_html(result), encoding="utf-8")


def provenance(result: EvaluationResult) -> str:
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
    parts: list[RenderableType] = [Text(provenance(result), "bold"), Text(_method(result), "dim")]
    for name in result.slices:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, title_justify="left")
        table.title = Text(f"{name}: {result.size(name)}", "bold")
        table.add_column("model", no_wrap=True)
        for metric in metrics:
            table.add_column(metric, no_wrap=True, justify="right")
        for model in result.models:
            cells = [interval(result.estimate(name, model, metric)) for metric in metrics]
            table.add_row(model, *cells)
        parts += [Text(""), table]
    if result.differences:
        parts += [Text(""), Text("Paired differences", "bold")]
    parts += [Text(f"- {sentence(each)}") for each in result.differences]
    return Group(*parts)


def render_markdown(result: EvaluationResult) -> str:
    """Give the same as `render_terminal` in Markdown, with the command that makes it."""
    metrics = [metric for metric in result.metrics if metric in HEADLINE]
    lines = [provenance(result), "", _method(result), "", f"Made by `{result.command}`."]
    for name in result.slices:
        lines += ["", f"| {name} ({result.size(name)}) | {' | '.join(metrics)} |"]
        lines.append("|---" * (1 + len(metrics)) + "|")
        for model in result.models:
            cells = [interval(result.estimate(name, model, metric)) for metric in metrics]
            lines.append(f"| {model} | {' | '.join(cells)} |")
    if result.differences:
        lines += ["", "Paired differences:", ""]
    lines += [f"- {sentence(each)}" for each in result.differences]
    return "\n".join(lines) + "\n"


def render_html(result: EvaluationResult) -> str:
    """Give one self-contained page: tables, plots, and how to read them."""
    environment = Environment(
        loader=PackageLoader("recsys"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(interval=interval, comparison=comparison, number=number)
    return environment.get_template("report.html").render(
        result=result,
        provenance=provenance(result),
        method=_method(result),
        highlighted=TEXT_AND_BEHAVIOUR,
        bars=_bars(result),
        calibration=figures.calibration(result.calibration) if result.calibration else "",
        calibration_error=calibration_error(list(result.calibration)),
        history=_history(result),
    )


def _method(result: EvaluationResult) -> str:
    guests = f", {result.n_guests:,} of them of guests" if result.n_guests else ""
    return (
        f"Test from {result.test_start:%Y-%m-%d} until {result.test_end:%Y-%m-%d}, "
        f"{result.n_requests:,} requests of {result.n_users:,} users{guests}; "
        f"means over requests, {result.level:.0%} bootstrap intervals over users."
    )


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
