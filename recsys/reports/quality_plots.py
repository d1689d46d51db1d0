"""Plots of feature quality: drift by period, missing values, distributions."""

import math
from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from features.checks.quality import ColumnQuality
from recsys.reports.plots import ACCENT, GRID, INK, QUIET, SETTINGS, WIDTH, annotate, svg

_MOST_ROWS = 40


@mpl.rc_context(SETTINGS)
def drift(columns: Sequence[ColumnQuality], drifts: float, differs: float) -> str:
    """Draw the stability index of each column in each period as dots that grow with it.

    Args:
        columns: From the worst on; those beyond the first forty are left out.
        drifts: From which value on a period drifts.
        differs: From which value on it differs.

    Returns:
        An `<svg>` element with title and description; empty without a column.
    """
    shown = list(columns)[:_MOST_ROWS]
    if not shown:
        return ""
    names = list(dict.fromkeys(period.period for column in shown for period in column.periods))
    figure = Figure(figsize=(WIDTH, 0.9 + 0.22 * len(shown)), layout="constrained")
    axis = figure.subplots()
    for row, column in enumerate(shown):
        for period in column.periods:
            if not math.isnan(period.psi):
                _dot(axis, names.index(period.period), row, period.psi, (drifts, differs))
    axis.set_yticks(range(len(shown)), [column.name for column in shown], fontsize=8.5)
    axis.set_xticks(range(len(names)), names)
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    axis.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(shown) - 0.5, -0.7))
    axis.grid(visible=True, axis="y")
    axis.set_axisbelow(True)
    for side in axis.spines.values():
        side.set_visible(False)
    described = ", ".join(f"{column.name} {column.psi:.2f}" for column in shown)
    return svg(figure, "drift", "Stability index by column and period", described)


def _dot(axis: Axes, x: int, y: int, psi: float, bounds: tuple[float, float]) -> None:
    """Draw one value: its area is the index; filled where it drifts, told where it differs."""
    drifts, differs = bounds
    size = 12 + 320 * min(psi, 1)
    colour = ACCENT if psi >= drifts else QUIET
    axis.scatter(
        x, y, size, color=colour if psi >= drifts else "none", edgecolor=colour, linewidth=1
    )
    if psi >= differs:
        annotate(axis, f"{psi:.2f}", (x, y), 3 + math.sqrt(size) / 2, 8.5)


@mpl.rc_context(SETTINGS)
def missing(columns: Sequence[ColumnQuality]) -> str:
    """Draw the share of missing values as bars.

    Args:
        columns: Those with any missing value.

    Returns:
        An `<svg>` element with title and description; empty without a column.
    """
    if not columns:
        return ""
    shown = sorted(columns, key=lambda column: -column.missing)[:_MOST_ROWS]
    figure = Figure(figsize=(WIDTH, 0.7 + 0.24 * len(shown)), layout="constrained")
    axis = figure.subplots()
    places = range(len(shown))
    axis.barh(places, [100 * column.missing for column in shown], height=0.6, color=QUIET)
    for place, column in zip(places, shown, strict=True):
        percent = 100 * column.missing
        annotate(axis, f"{percent:.1f}%", (percent, place), 4, 8.5)
    axis.set_yticks(places, [column.name for column in shown], fontsize=8.5)
    axis.set(xlim=(0, 110), ylim=(len(shown) - 0.5, -0.5))
    axis.set_xlabel("% of the training window's rows without a value")
    axis.set_xticks(range(0, 101, 20))
    axis.tick_params(length=0)
    axis.grid(visible=True, axis="x")
    axis.set_axisbelow(True)
    described = ", ".join(f"{column.name} {column.missing:.3f}" for column in shown)
    return svg(figure, "missing", "Share of missing values", described)


@mpl.rc_context(SETTINGS)
def shapes(columns: Sequence[ColumnQuality]) -> str:
    """Draw each column's distribution in the training window, with the last period's over it.

    Args:
        columns: Those with bars.

    Returns:
        An `<svg>` element with title and description; empty without a column.
    """
    if not columns:
        return ""
    across = min(3, len(columns))
    down = math.ceil(len(columns) / across)
    figure = Figure(figsize=(WIDTH, 1.75 * down), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for axis, column in zip(axes, columns, strict=False):
        _shape(axis, column)
    for axis in axes[len(columns) :]:
        axis.set_axis_off()
    described = ", ".join(column.name for column in columns)
    return svg(figure, "shapes", "Distributions of the columns that differ most", described)


def _shape(axis: Axes, column: ColumnQuality) -> None:
    bars = column.bars
    if bars is None:
        return
    axis.stairs(bars.training, bars.edges, fill=True, color=GRID)
    axis.stairs(bars.training, bars.edges, color=QUIET, linewidth=1)
    if bars.latest:
        axis.stairs(bars.latest, bars.edges, color=ACCENT, linewidth=1.5)
    axis.set_title(column.name, loc="left", fontsize=8.5, fontweight="bold", color=INK)
    axis.set_yticks([])
    axis.spines["left"].set_visible(False)
    axis.tick_params(labelsize=8)
    axis.locator_params(axis="x", nbins=4)
