"""Findings of validation: what each rule found, and how it is shown."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import polars as pl
from rich.text import Text

Severity = Literal["error", "warning", "info"]

SPLIT = "split"
_STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan", "ok": "green"}
_LONGEST_ROW = 160


@dataclass(frozen=True)
class Finding:
    """What one rule found.

    Attributes:
        table: The table, or `split` for the periods of training.
        rule: Name of the rule.
        severity: `error` when training must not start, `warning` for what is handled and counted,
            `info` for what is only reported.
        count: Rows (or for `split` moments and periods) that break the rule.
        first: The first of them, for people; empty when there is none.
        part: Of `split`, the part of the split that lacks something.
    """

    table: str
    rule: str
    severity: Severity
    count: int
    first: str = ""
    part: str = ""


@dataclass(frozen=True)
class ValidationReport:
    """What all rules found.

    Attributes:
        findings: One for every rule that could be checked, also those nothing breaks.
        rejected: Per table that has any, the file with its rejected rows and their reasons.
    """

    findings: tuple[Finding, ...]
    rejected: Mapping[str, Path]

    @property
    def ok(self) -> bool:
        """Whether no error was found; warnings do not count."""
        return not self.count("error")

    def count(self, severity: Severity) -> int:
        """Number of rules of this severity that something breaks."""
        return sum(each.severity == severity and each.count > 0 for each in self.findings)


def render(report: ValidationReport) -> Iterator[Text]:
    """Give one line per rule for the terminal, and a last one that sums up."""
    width = max(len(f"{each.table} {each.rule}") for each in report.findings)
    for each in report.findings:
        word = each.severity if each.count else "ok"
        name = f"{each.table} {each.rule}".ljust(width)
        row = f"{word:<8}{name} {each.count:>11,}  {each.first}"
        line = Text(row.rstrip())
        line.stylize(_STYLES[word], 0, len(word))
        yield line
    errors, warnings = report.count("error"), report.count("warning")
    where = "".join(f"; rejected rows: {path}" for path in report.rejected.values())
    verdict = "fit for training" if report.ok else "not fit for training"
    style = _STYLES["ok" if report.ok else "error"]
    yield Text(f"{verdict}: {errors} rules with errors, {warnings} with warnings{where}", style)


def finding_of(
    table: str, rule: str, severity: Severity, rows: pl.DataFrame, advice: str = ""
) -> Finding:
    """Say that some rows break a rule.

    Args:
        table: The table.
        rule: Name of the rule.
        severity: Whether training must not start.
        rows: Those that break it; the first is described.
        advice: Likely cause, and what to do about it.

    Returns:
        The finding.
    """
    if not rows.height:
        return Finding(table, rule, severity, 0)
    first = described(rows.row(0, named=True), advice)
    return Finding(table, rule, severity, rows.height, first)


def described(row: Mapping[str, object], advice: str) -> str:
    """Describe a row for people, and say what to do about it."""
    return f"{_describe(row)}; {advice}" if advice else _describe(row)


def _describe(row: Mapping[str, object]) -> str:
    parts = [
        f"{name}={value if isinstance(value, datetime) else repr(value)}"
        for name, value in row.items()
        if value is not None
    ]
    text = " ".join(parts)
    return text if len(text) <= _LONGEST_ROW else text[: _LONGEST_ROW - 3] + "..."
