"""List of a feature set's columns: meaning, unit, window, missing value, sources."""

from collections.abc import Iterator, Sequence

from rich import box
from rich.table import Table

from features.feature_set import FeatureSet
from features.kinds.base import Feature

HEADINGS = ("column", "meaning", "unit", "window", "missing when", "source events")


def render_list(features: FeatureSet, beside: Sequence[Feature]) -> Table:
    """Give a table of the columns for the terminal.

    Args:
        features: What the ranker reads.
        beside: What is computed for evaluation only.

    Returns:
        One row a column.
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in HEADINGS:
        table.add_column(heading, overflow="fold", ratio=3 if heading == "meaning" else None)
    for row in _rows(features.features):
        table.add_row(*row)
    for row in _rows(beside):
        table.add_row(*row, style="dim")
    count = len(features.features)
    table.caption = f"{count} columns" + (f", {len(beside)} more for evaluation" if beside else "")
    table.caption_justify = "left"
    return table


def list_markdown(features: FeatureSet) -> str:
    """Give the table of what the ranker reads in Markdown."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|---" * len(HEADINGS) + "|"]
    for name, *others in _rows(features.features):
        cells = (f"`{name}`", *others)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _rows(features: Sequence[Feature]) -> Iterator[tuple[str, ...]]:
    for feature in features:
        told = feature.describe()
        sources = ", ".join(told.sources) or "none"
        yield feature.name, told.meaning, told.unit, told.window, told.missing, sources
