"""Draw docs/figures/feature_windows.svg: `python docs/figures/feature_windows.py`.

The events are those of the worked example in docs/features.md.
"""

from datetime import datetime, timedelta
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.dates import DateFormatter, DayLocator, HourLocator, date2num
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

INK, SOFT, LINE, TILE, ACCENT, LATE = (
    "#1c2126",
    "#59626c",
    "#d9dee3",
    "#e3effb",
    "#1f6fc4",
    "#c4561f",
)
REQUEST = datetime(2026, 3, 11, 14, 20)
EVENTS = {
    "a": (datetime(2026, 2, 8, 23, 59), None),
    "b": (datetime(2026, 2, 9, 10), None),
    "c": (datetime(2026, 3, 9, 16, 5), None),
    "d": (datetime(2026, 3, 10, 13, 55), None),
    "e": (datetime(2026, 3, 10, 14, 5), None),
    "f": (datetime(2026, 3, 11, 9, 30), datetime(2026, 3, 11, 12)),
    "g": (datetime(2026, 3, 11, 14, 10), datetime(2026, 3, 11, 14, 45)),
    "h": (REQUEST, None),
}
"""When each purchase happened, and when it arrived if late."""


def main() -> None:
    """Write the picture beside this file."""
    settings = {"svg.fonttype": "none", "font.size": 10, "svg.hashsalt": "windows"}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(10, 5.2), layout="constrained", facecolor="white")
        hours, days = figure.subplots(2, 1)
        _panel(hours, 1, timedelta(hours=1), datetime(2026, 3, 10, 12))
        hours.xaxis.set_major_locator(HourLocator(range(0, 24, 3)))
        hours.xaxis.set_major_formatter(DateFormatter("%H:%M\n%a"))
        _panel(days, 30, timedelta(days=1), datetime(2026, 2, 7, 12))
        days.xaxis.set_major_locator(DayLocator(interval=4))
        days.xaxis.set_major_formatter(DateFormatter("%b %d"))
        _legend(figure)
        path = Path(__file__).with_suffix(".svg")
        figure.savefig(path, metadata={"Date": None, "Creator": None})


def _panel(axis: Axes, window_days: int, tile: timedelta, first: datetime) -> None:
    edge = REQUEST - timedelta(days=window_days)
    start = edge.replace(minute=0)
    if tile >= timedelta(days=1):
        start = start.replace(hour=0)
    span = REQUEST - first
    end = REQUEST + span * 0.06
    axis.axvspan(date2num(start), date2num(REQUEST), 0, 0.8, color=TILE, linewidth=0)
    at = start
    while at < REQUEST:
        axis.axvline(date2num(at), 0, 0.8, color="white", linewidth=1)
        at += tile
    counted = _events(axis, start, first, span)
    axis.axvline(date2num(REQUEST), color=INK, linewidth=1.5)
    axis.annotate(
        "request, Mar 11 14:20",
        (date2num(REQUEST), 0.98),
        xytext=(-6, 0),
        textcoords="offset points",
        ha="right",
        va="top",
        fontweight="bold",
    )
    kind = "an hour" if tile < timedelta(days=1) else "midnight UTC"
    axis.annotate(
        f"begins at {kind}: {start:%b %d %H:%M}",
        (date2num(start), 0.84),
        xytext=(0, 0),
        textcoords="offset points",
        color=ACCENT,
        va="bottom",
    )
    plural = "s" if window_days > 1 else ""
    axis.set_title(
        f"window of {window_days} day{plural}, tiles of {'hours' if kind == 'an hour' else 'days'}"
        f": {counted} purchases count",
        loc="left",
        fontweight="bold",
        fontsize=11,
        color=INK,
    )
    axis.set(xlim=(date2num(first), date2num(end)), ylim=(-0.2, 1), yticks=[])
    for side in ("left", "right", "top"):
        axis.spines[side].set_visible(False)
    axis.spines["bottom"].set_color(LINE)
    axis.tick_params(colors=SOFT, length=3)


def _events(axis: Axes, start: datetime, first: datetime, span: timedelta) -> int:
    """Draw the purchases that the panel has room for; give how many count."""
    counted, lane = 0, 0
    before = first - span
    for name, (time, arrived) in EVENTS.items():
        counts = time >= start and time < REQUEST and (arrived is None or arrived <= REQUEST)
        counted += counts
        if time < first:
            continue
        # Neighbours stand above each other.
        lane = lane + 1 if time - before < span * 0.03 else 0
        before = time
        height = -0.08 + 0.155 * lane
        colour = LATE if arrived else ACCENT
        if arrived and span < timedelta(days=3):
            axis.plot(
                [date2num(time), date2num(arrived)], [height] * 2, ":", color=LATE, linewidth=1.5
            )
            axis.plot(date2num(arrived), height, "|", color=LATE, markersize=9, markeredgewidth=1.5)
        axis.plot(
            date2num(time),
            height,
            "o",
            markersize=7,
            color=colour,
            markerfacecolor=colour if counts else "white",
            markeredgewidth=1.6,
            zorder=3,
        )
        axis.annotate(
            name,
            (date2num(time), height),
            xytext=(-11, 0),
            textcoords="offset points",
            ha="center",
            va="center",
            color=INK,
        )
    return counted


def _legend(figure: Figure) -> None:
    marks = (
        ("counts", {"color": ACCENT, "marker": "o"}),
        ("does not count", {"color": ACCENT, "marker": "o", "markerfacecolor": "white"}),
        ("arrived late, at the dash", {"color": LATE, "marker": "o", "linestyle": ":"}),
    )
    handles = [
        Line2D([], [], **{"linestyle": "", "markersize": 8, **style}, label=label)
        for label, style in marks
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=3, frameon=False)


if __name__ == "__main__":
    main()
