"""Report of feature quality: terminal table, JSON and HTML page."""

from pathlib import Path

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from data_contracts.storage import write_text
from features.checks.quality import ABOVE_ONE, DIFFERS, DRIFTS, QualityReport
from recsys.reports import quality_plots as quality_figures
from recsys.reports.numbers import plain, share
from recsys.reports.page import render_page

SHOWN = 15
_PLOTTED = 12
_STYLES = {
    ABOVE_ONE: "red",
    "always missing": "red",
    "constant": "red",
    "differs": "red",
    "drifts": "yellow",
}


def save_quality(report: QualityReport, folder: Path) -> list[Path]:
    """Write the report as JSON and as a page, each whole or not at all; give their paths."""
    paths = [folder / "features.json", folder / "features.html"]
    write_text(paths[0], report.model_dump_json(indent=2) + "\n")
    write_text(paths[1], quality_page(report))
    return paths


def render_quality(report: QualityReport) -> RenderableType:
    """Give the columns that do worst for the terminal, and how many do well."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("column", no_wrap=True, overflow="ellipsis")
    for heading, width in (("missing", 7), ("median", 7), ("PSI", 5), ("in", 7)):
        table.add_column(heading, min_width=width, no_wrap=True, justify="right")
    table.add_column("", min_width=14, no_wrap=True)
    for column in report.worst_first[:SHOWN]:
        worst = column.worst
        table.add_row(
            column.name,
            share(column.missing),
            plain(column.quantiles["0.5"]),
            "-" if worst is None else f"{worst.psi:.2f}",
            "-" if worst is None else worst.period,
            Text(column.fault, _STYLES.get(column.fault, "")),
        )
    rest = len(report.columns) - SHOWN
    lines: list[RenderableType] = [Text(headline(report), "bold"), table]
    if rest > 0:
        lines.append(Text(f"and {rest} columns that do better", "dim"))
    return Group(*lines)


def headline(report: QualityReport) -> str:
    """Say in one line how many columns there are and how many have which fault."""
    faults = [column.fault for column in report.columns if column.fault]
    told = ", ".join(f"{faults.count(fault)} {fault}" for fault in dict.fromkeys(faults))
    return (
        f"{len(report.columns)} columns over {report.rows:,} rows of the training window "
        f"({report.training_start:%Y-%m-%d} to {report.training_end:%Y-%m-%d}): "
        f"{told or 'none missing throughout, constant or drifting'}"
    )


def quality_page(report: QualityReport) -> str:
    """Give one self-contained page: headline, plots, and a table of all columns."""
    worst = report.worst_first
    plotted = [c for c in worst if c.bars is not None and len(c.bars.training) > 1][:_PLOTTED]
    comparable = [column for column in worst if column.worst is not None]
    values = {
        "title": f"Feature quality: {report.data_name}",
        "report": report,
        "headline": headline(report),
        "drifts": DRIFTS,
        "differs": DIFFERS,
        "columns": worst,
        "heat": quality_figures.drift(comparable, DRIFTS, DIFFERS),
        "missing": quality_figures.missing([c for c in worst if c.missing > 0]),
        "shapes": quality_figures.shapes(plotted),
        "share": share,
        "plain": plain,
    }
    return render_page("quality.html", values)
