"""Plots as inline SVG that follows the page's colours, light or dark."""

import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from markupsafe import escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from recsys.metrics.calibration import CalibrationBin
from recsys.metrics.intervals import Estimate
from recsys.reports.numbers import number, signed

# Colours that nothing else uses; in the SVG each is replaced by what the page's style sheet says.
INK, ACCENT, QUIET, GRID = "#010101", "#020202", "#030303", "#040404"
_STYLES = {
    INK: "currentColor",
    ACCENT: "var(--accent)",
    QUIET: "var(--quiet)",
    GRID: "var(--line)",
}
SETTINGS: Any = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
}
WIDTH = 9.6


@mpl.rc_context(SETTINGS)
def bars(
    panels: Mapping[str, Mapping[str, Estimate]],
    models: Sequence[str],
    metric: str,
    *,
    highlighted: str,
) -> str:
    """Draw a bar with its interval for each model, a panel for each slice, one scale for all.

    Args:
        panels: Per slice, the estimate of each model that has one.
        models: The models from top to bottom.
        metric: What the bars show.
        highlighted: The model to stand out.

    Returns:
        An `<svg>` element with title and description.
    """
    columns = min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    size = (WIDTH, rows * (0.9 + 0.26 * len(models)))
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(hspace=0.08, h_pad=0.08))
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axis, (name, estimates) in zip(axes, panels.items(), strict=False):
        _bar_panel(axis, name, models, estimates, highlighted)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    for axis in axes[max(0, len(panels) - columns) : len(panels)]:
        axis.tick_params(labelbottom=True)
    axes[0].invert_yaxis()
    highs = [each.high for panel in panels.values() for each in panel.values()]
    axes[0].set_xlim(0, 1.22 * max((high for high in highs if high > 0), default=1))
    described = "; ".join(
        f"{name}: " + ", ".join(f"{model} {number(each.mean)}" for model, each in panel.items())
        for name, panel in panels.items()
    )
    return svg(figure, "bars", f"{metric} by model and slice", described)


@mpl.rc_context(SETTINGS)
def calibration(bins: Sequence[CalibrationBin]) -> str:
    """Draw the share of positive rows over the predicted probability, with the diagonal.

    Args:
        bins: By rising prediction.

    Returns:
        An `<svg>` element with title and description.
    """
    predicted = [each.predicted for each in bins]
    observed = [each.observed for each in bins]
    end = 1.08 * max(*predicted, *observed, 1e-3)
    figure = Figure(figsize=(4.4, 4.4), layout="constrained")
    axis = figure.subplots()
    axis.plot([0, end], [0, end], color=QUIET, linestyle="--", linewidth=1)
    axis.plot(predicted, observed, color=ACCENT, marker="o", linewidth=1.5)
    axis.set(xlim=(0, end), ylim=(0, end), aspect="equal")
    axis.set_xlabel("predicted probability of a positive grade")
    axis.set_ylabel("observed share")
    axis.grid(visible=True)
    described = ", ".join(
        f"{number(each.predicted)} against {number(each.observed)}" for each in bins
    )
    return svg(figure, "calibration", "Predicted probability against outcome", described)


@mpl.rc_context(SETTINGS)
def gains(estimates: Mapping[str, Estimate], label: str) -> str:
    """Draw a difference with its interval for each length of history, with the line of no gain.

    Args:
        estimates: Per length of history, from short to long.
        label: What the difference is.

    Returns:
        An `<svg>` element with title and description; empty when no difference is known.
    """
    known = {name: each for name, each in estimates.items() if not math.isnan(each.mean)}
    if not known:
        return ""
    figure = Figure(figsize=(0.6 * WIDTH, 3.4), layout="constrained")
    axis = figure.subplots()
    axis.axhline(0, color=QUIET, linestyle="--", linewidth=1)
    places = range(len(known))
    axis.vlines(
        places,
        [each.low for each in known.values()],
        [each.high for each in known.values()],
        color=ACCENT,
        linewidth=2,
    )
    axis.plot(places, [each.mean for each in known.values()], "o", color=ACCENT)
    axis.set_xticks(places, list(known))
    axis.set_xlim(-0.5, len(known) - 0.5)
    axis.set_xlabel("earlier interactions of the user")
    axis.set_ylabel("difference")
    axis.grid(visible=True, axis="y")
    described = ", ".join(f"{name}: {signed(each.mean)}" for name, each in known.items())
    return svg(figure, "gains", f"{label}, by length of history", described)


def _bar_panel(
    axis: Axes,
    name: str,
    models: Sequence[str],
    estimates: Mapping[str, Estimate],
    highlighted: str,
) -> None:
    places = range(len(models))
    axis.set_title(name, loc="left", fontsize=10, fontweight="bold")
    axis.set_yticks(places, list(models))
    axis.tick_params(length=0)
    axis.spines["bottom"].set_visible(False)
    axis.grid(visible=True, axis="x")
    axis.set_axisbelow(True)
    for place, model in zip(places, models, strict=True):
        found = estimates.get(model)
        if found is None or math.isnan(found.mean):
            annotate(axis, number(math.nan), (0, place), 5, 10)
            continue
        colour = ACCENT if model == highlighted else QUIET
        axis.barh(place, found.mean, height=0.62, color=colour)
        axis.hlines(place, found.low, found.high, color=INK, linewidth=1.4)
        annotate(axis, number(found.mean), (found.high, place), 5, 9)


def annotate(axis: Axes, text: str, at: tuple[float, float], right: float, size: float) -> None:
    """Write a text some points right of a place, in letters of some points."""
    axis.annotate(text, at, (right, 0), textcoords="offset points", va="center", fontsize=size)


def svg(figure: Figure, name: str, title: str, described: str) -> str:
    """Give the figure as an element that stands in a page beside others."""
    target = io.StringIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(target, format="svg", transparent=True, metadata=nothing)
    drawn = target.getvalue()
    attributes, body = drawn[drawn.index("<svg") + len("<svg") :].split(">", 1)
    # Ids are unique within a plot, not yet among the plots of one page.
    body = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", body)
    for colour, style in _STYLES.items():
        body = body.replace(colour, style)
    label = f'role="img" aria-labelledby="{name}-title {name}-text"'
    texts = (
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-text">{escape(described)}</desc>'
    )
    return f"<svg {label}{attributes}>{texts}{body}"
