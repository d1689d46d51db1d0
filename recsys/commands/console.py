"""Console output: progress bars, tables, and errors as found, expected, what to do."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from data_contracts.errors import RecsysError
from data_contracts.progress import OfRows

if TYPE_CHECKING:
    from recsys.datasets.ledger import ImportReport
    from recsys.datasets.simulation.world.settings import SimulationReport

T = TypeVar("T")


class _Pace(ProgressColumn):
    """How many of how many steps; of rows also how many a second."""

    def render(self, task: Task) -> Text:
        """Write the figures of a task."""
        done, total = int(task.completed), int(task.total or 0)
        if not task.fields.get("rows"):
            return Text(f"{done}/{total}", style="progress.download")
        seconds = task.finished_time if task.finished else task.elapsed
        pace = f", {done / seconds:,.0f}/s" if seconds else ""
        return Text(f"{done:,}/{total:,} rows{pace}", style="progress.download")


class Terminal(Console):
    """A rich console that shows long steps as bars with the time spent and the time left.

    Away from a terminal each step leaves one line when it ends. Brackets are no markup: they may
    stand in names.

    Args:
        stderr: Whether it writes there.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False)

    def track(self, steps: Iterable[T], label: str, total: int) -> Iterable[T]:
        """Pass the steps through and show how far they are; a `data_contracts.progress.Track`."""
        with Progress(
            TextColumn("{task.description:<30}"),
            BarColumn(),
            _Pace(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self,
        ) as progress:
            task = progress.add_task(label, total=total)
            for step in steps:
                yield step
                if isinstance(step, OfRows):
                    progress.update(task, advance=step.rows, rows=True)
                else:
                    progress.advance(task)


def import_table(report: "ImportReport") -> Table:
    """Show what an import read, kept and set aside."""
    table = Table(title=f"Import of {report.workspace}", title_justify="left")
    table.add_column("rows")
    table.add_column("what became of them")
    table.add_column("count", justify="right")
    table.add_column("such as")
    for what, fate, count, example in report.rows():
        table.add_row(what, fate, f"{count:,}", example)
    return table


def simulation_table(report: "SimulationReport") -> Table:
    """Show what a simulation wrote."""
    table = Table(title=f"Simulation of {report.path}", title_justify="left")
    table.add_column("what")
    table.add_column("count", justify="right")
    counts = {"events": report.events, **report.model_dump(exclude={"path"})}
    for name, count in counts.items():
        table.add_row(name.replace("_", " "), f"{count:,}")
    return table


def error_text(error: RecsysError) -> Text:
    """Write an error for people: what was found, what was expected, what to do."""
    text = Text("error\n", style="bold red")
    for name, part in (
        ("found", error.found),
        ("expected", error.expected),
        ("what to do", error.action),
    ):
        text.append(f"  {name:<11}", style="bold default")
        text.append(f"{part}\n", style="default")
    return text
