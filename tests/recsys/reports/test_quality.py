"""The quality report as JSON, as a table and as a page."""

import math
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

from rich.console import Console

from features.checks.quality import ColumnQuality, Histogram, PeriodQuality, QualityReport
from recsys.commands.console import Terminal
from recsys.reports.numbers import plain, share
from recsys.reports.quality import SHOWN, quality_page, render_quality, save_quality

NAN = math.nan
QUANTILES = {"0.01": 0.0, "0.05": 0.0, "0.25": 0.0, "0.5": 0.5, "0.75": 1.0, "0.95": 1, "0.99": 1}


def column(name: str, psi: float, missing: float = 0.0) -> ColumnQuality:
    nothing = missing == 1
    return ColumnQuality(
        name=name,
        meaning=f"what {name} < means",
        unit="days",
        missing=missing,
        zeros=NAN if nothing else 0.5,
        distinct=0 if nothing else 2,
        mean=NAN if nothing else 0.5,
        deviation=NAN if nothing else 0.5,
        low=NAN if nothing else 0,
        high=NAN if nothing else 1,
        quantiles=dict.fromkeys(QUANTILES, NAN) if nothing else QUANTILES,
        bars=None
        if nothing
        else Histogram(edges=(0, 0.5, 1), training=(0.5, 0.5), latest=(0.25, 0.75)),
        periods=tuple(
            PeriodQuality(period=period, rows=9, missing=missing, mean=0.5, high=1, psi=value)
            for period, value in (("2026-02", psi / 2), ("2026-03", psi))
        ),
    )


REPORT = QualityReport(
    data_name="tiny & small",
    training_start=datetime(2026, 1, 1, tzinfo=UTC),
    training_end=datetime(2026, 2, 1, tzinfo=UTC),
    rows=1000,
    columns=(
        column("calm", 0.01, 0.25),
        column("gone", 0.0, 1.0),
        column("moves", 0.15),
        column("leaps", 1.5),
        *(column(f"calm_{place}", 0.0) for place in range(SHOWN)),
    ),
)


def said() -> str:
    console = Console(width=80)
    with console.capture() as capture:
        console.print(render_quality(REPORT))
    return capture.get()


def test_the_terminal_shows_the_worst_first_and_counts_the_rest() -> None:
    lines = said().splitlines()
    named = [
        line.split()[0] for line in lines if line.startswith(("gone", "leaps", "moves", "calm"))
    ]
    assert named[:4] == ["gone", "leaps", "moves", "calm"]
    assert len(named) == SHOWN
    text = " ".join(" ".join(lines).split())
    assert "1 always missing, 1 drifts, 1 differs" in text
    assert "1.50 2026-03 differs" in text
    assert f"and {len(REPORT.columns) - SHOWN} columns that do better" in text


def test_the_page_names_every_column_and_its_plots_are_well_formed() -> None:
    page = quality_page(REPORT)
    assert all(f"<code>{each.name}</code>" in page for each in REPORT.columns)
    assert "tiny &amp; small" in page
    assert "what calm &lt; means" in page
    figures = [part.split("</svg>")[0] + "</svg>" for part in page.split("<div class=")[1:]]
    drawn = [figure[figure.index("<svg") :] for figure in figures if "<svg" in figure]
    assert len(drawn) == 3
    ids: list[str] = []
    for each in drawn:
        tree = ElementTree.fromstring(each.replace("xlink:href", "href"))
        ids += [element.attrib["id"] for element in tree.iter() if "id" in element.attrib]
    assert len(set(ids)) == len(ids)
    assert "http" not in page.replace("http://www.w3.org", "")


def test_a_report_without_later_periods_has_a_page_too() -> None:
    alone = REPORT.columns[0].model_copy(update={"periods": (), "bars": None})
    page = quality_page(REPORT.model_copy(update={"columns": (alone,)}))
    assert "Drift after" not in page
    assert "calm" in page


def test_a_column_of_any_name_is_drawn_and_shown() -> None:
    name = r"a $\frac{[/b]$ price"
    odd = REPORT.model_copy(update={"columns": (column(name, 1.5),)})
    assert f"<code>{name}</code>" in quality_page(odd)
    with (terminal := Terminal()).capture() as shown:
        terminal.print(render_quality(odd))
    assert name in shown.get()


def test_both_files_are_written(tmp_path: Path) -> None:
    paths = save_quality(REPORT, tmp_path)
    assert QualityReport.model_validate_json(paths[0].read_bytes()).columns[0] == REPORT.columns[0]
    assert paths[1].read_text(encoding="utf-8") == quality_page(REPORT)


def test_numbers_are_written_short() -> None:
    assert [share(v) for v in (0, 1, 0.1234, NAN)] == ["0%", "100%", "12.3%", "-"]
    assert [plain(v) for v in (0.12345, 12345.6, 0, NAN)] == ["0.123", "12,346", "0", "-"]
