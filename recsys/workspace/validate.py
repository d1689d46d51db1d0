"""Validation of a workspace: every table, every row, and how the tables fit together."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import polars as pl
from rich.text import Text

from data_contracts.errors import DataError
from data_contracts.events import Impressions, Interactions
from data_contracts.export import rule_names
from data_contracts.items import Items
from data_contracts.progress import Track, silent
from data_contracts.reading import REASON, check_rows, unread_columns
from data_contracts.storage import write_parquet
from features.log.catalogue import said
from recsys.labels.grades import grade_impressions
from recsys.workspace.config import WorkspaceConfig
from recsys.workspace.context import CONTEXT_RULES, context_faults
from recsys.workspace.copies import split_copies
from recsys.workspace.feature_sets import features_of
from recsys.workspace.workspace import TABLES, Workspace

Severity = Literal["error", "warning", "info"]

_ITEMS, _IMPRESSIONS, _INTERACTIONS = TABLES
_STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan", "ok": "green"}
_LONGEST_ROW = 160
_ORDER = "if it is an order's, join it with the line or the item"


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
    """

    table: str
    rule: str
    severity: Severity
    count: int
    first: str = ""


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


def validate(
    workspace: Workspace, *, now: datetime | None = None, track: Track = silent
) -> ValidationReport:
    """Check the tables of a workspace, and write the rejected rows with their reasons.

    A table that cannot be read is an error of its own; the others are checked all the same, but not
    the rules that would need it. Rejected rows go to `rejected/<table>.parquet` in the workspace; a
    file of an earlier run is replaced, or removed when nothing is rejected any more.

    Args:
        workspace: The workspace.
        now: Moment with its zone, after which an event is future-dated; the present when absent.
        track: Shows progress.

    Returns:
        What every rule found.
    """
    moment = datetime.now(UTC) if now is None else now
    findings: list[Finding] = []
    good: dict[str, pl.DataFrame] = {}
    rejected: dict[str, Path] = {}
    for table in track(TABLES, "checking tables", len(TABLES)):
        checked = _check_table(workspace, table, moment)
        findings += checked.findings
        if checked.good is not None:
            good[table] = checked.good
        path = workspace.rejected / f"{table}.parquet"
        if checked.bad is not None and checked.bad.height:
            write_parquet(checked.bad, path)
            rejected[table] = path
        else:
            path.unlink(missing_ok=True)
    findings += _across_tables(good, workspace.config)
    return ValidationReport(tuple(findings), rejected)


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


@dataclass(frozen=True)
class _Checked:
    findings: list[Finding]
    good: pl.DataFrame | None = None
    bad: pl.DataFrame | None = None


def _check_table(workspace: Workspace, table: str, now: datetime) -> _Checked:
    try:
        frame = workspace.scan(table).collect()
    except DataError as error:
        return _Checked([Finding(table, "readable", "error", 1, str(error))])
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = f"a value does not fit its column: {str(error).splitlines()[0]}"
        return _Checked([Finding(table, "readable", "error", 1, reason)])
    findings = [Finding(table, "readable", "error", 0), _unread(workspace, table)]
    bad = []
    if table == _INTERACTIONS:
        found = split_copies(frame)
        frame, copies, others = found.kept, found.copies, found.others
        findings.append(_finding(table, "duplicate", "warning", copies))
        findings.append(_finding(table, "duplicate_differs", "warning", found.differing))
        findings.append(_finding(table, "event_id_of_several_events", "error", others, _ORDER))
        findings.append(_ids_of_several_days(frame))
        bad.append(copies.with_columns(pl.lit("duplicate").alias(REASON)))
    contract = workspace.contract(table)
    checked = check_rows(frame, contract)
    broken = {failure.rule: failure for failure in checked.failures}
    for rule in rule_names(contract):
        if rule not in broken:
            findings.append(Finding(table, rule, "error", 0))
            continue
        failure = broken[rule]
        first = _described(failure.first, failure.advice)
        findings.append(Finding(table, rule, "error", failure.count, first))
    bad.append(checked.bad)
    good = checked.good
    if table != _ITEMS:
        late = Interactions.timestamp.col > now
        future = good.filter(late)
        findings.append(_finding(table, "in_the_future", "error", future))
        bad.append(future.with_columns(pl.lit("in_the_future").alias(REASON)))
        good = good.filter(~late) if future.height else good
    return _Checked(findings, good, pl.concat(bad))


def _ids_of_several_days(frame: pl.DataFrame) -> Finding:
    """Count events whose id another day's event has too; features and labels keep them apart."""
    again = frame.filter(Interactions.event_id.col.is_duplicated())
    rows = again.filter(Interactions.event_id.col.is_not_null())
    return _finding(_INTERACTIONS, "event_id_on_several_days", "warning", rows)


def _across_tables(good: Mapping[str, pl.DataFrame], config: WorkspaceConfig) -> Iterator[Finding]:
    items, impressions = good.get(_ITEMS), good.get(_IMPRESSIONS)
    interactions = good.get(_INTERACTIONS)
    if impressions is not None:
        yield from _context(impressions, config)
    if items is not None:
        yield _without_values(items, config)
        yield _finding(_ITEMS, "without_text", "warning", items.filter(~_has_text(items, config)))
    if items is not None and impressions is not None:
        unknown = _unknown(impressions, items, Items.item_id.name)
        yield _finding(_IMPRESSIONS, "unknown_item", "warning", unknown)
    if interactions is not None:
        if items is not None:
            unknown = _unknown(interactions, items, Items.item_id.name)
            yield _finding(_INTERACTIONS, "unknown_item", "warning", unknown)
        if impressions is not None:
            linked = interactions.filter(Interactions.request_id.col.is_not_null())
            orphans = _unknown(linked, impressions, Impressions.request_id.name)
            yield _finding(_INTERACTIONS, "orphan", "warning", orphans)
        ungraded = interactions.filter(~Interactions.kind.col.is_in(list(config.labels.grades)))
        yield _finding(_INTERACTIONS, "kind_without_grade", "warning", ungraded)
        yield _guests(interactions)
        yield from _late(interactions, config)
    if impressions is not None and interactions is not None:
        yield from _check_split(impressions, interactions, config)


def _context(impressions: pl.DataFrame, config: WorkspaceConfig) -> Iterator[Finding]:
    """Look for the numbers and words that features read of what the caller sent."""
    faults = list(context_faults(impressions.lazy(), features_of(config)))
    for rule in CONTEXT_RULES:
        of_rule = [fault for fault in faults if fault.rule == rule]
        told = "; ".join(fault.told for fault in of_rule)
        count = sum(fault.count for fault in of_rule)
        yield Finding(_IMPRESSIONS, f"context_{rule}", "error", count, told)


def _without_values(items: pl.DataFrame, config: WorkspaceConfig) -> Finding:
    """Count the declared columns that have no value at all."""
    columns = [said(items[name]) for name in config.attributes]
    empty = [column.name for column in columns if column.null_count() == items.height]
    return Finding(_ITEMS, "declared_without_values", "warning", len(empty), ", ".join(empty))


def _unread(workspace: Workspace, table: str) -> Finding:
    """Count the columns of a table that nobody reads."""
    found = unread_columns(workspace.location(table), workspace.contract(table))
    return Finding(table, "column_nobody_reads", "warning", len(found), "; ".join(found))


def _has_text(items: pl.DataFrame, config: WorkspaceConfig) -> pl.Expr:
    """Tell whether any field of the text template says something."""
    fields = [
        pl.col(name).list.len() > 0
        if isinstance(items.schema[name], pl.List)
        else pl.col(name).str.strip_chars() != ""
        for name in config.text.template
    ]
    return pl.any_horizontal(field.fill_null(value=False) for field in fields)


def _unknown(rows: pl.DataFrame, known: pl.DataFrame, key: str) -> pl.DataFrame:
    keys = known.select(pl.col(key).unique())
    return rows.join(keys, on=key, how="anti", maintain_order="left")


def _guests(interactions: pl.DataFrame) -> Finding:
    guests = interactions[Interactions.user_id.name].null_count()
    share = f"{guests / interactions.height:.1%} of interactions" if guests else ""
    return Finding(_INTERACTIONS, "without_user", "info", guests, share)


def _late(interactions: pl.DataFrame, config: WorkspaceConfig) -> Iterator[Finding]:
    """Count what became known after it happened, and what features set aside as too late."""
    delay = Interactions.ingested_at.col - Interactions.timestamp.col
    late = interactions.filter(delay > pl.duration(days=0))
    yield _finding(_INTERACTIONS, "late", "info", late)
    too_late = late.filter(delay > pl.duration(days=config.features.late_days))
    yield _finding(_INTERACTIONS, "too_late", "warning", too_late)


def _check_split(
    impressions: pl.DataFrame, interactions: pl.DataFrame, config: WorkspaceConfig
) -> Iterator[Finding]:
    time = Impressions.timestamp.name
    moments = pl.concat([impressions[time], interactions[time]])
    first, last = moments.min(), impressions[time].max()
    if not isinstance(first, datetime) or not isinstance(last, datetime):
        return
    split = config.split
    inner = {
        "text_end": split.text_end,
        "ranker_end": split.ranker_end,
        "validation_end": split.validation_end,
    }
    for name, moment in inner.items():
        outside = not first < moment <= last
        where = f"{name} is {moment}; the log goes from {first} to {last}" if outside else ""
        yield Finding("split", f"{name}_outside_of_the_log", "error", int(outside), where)
    grades = grade_impressions(impressions, interactions.lazy(), config.labels)
    positive = impressions[time].filter(pl.Series(grades > 0))
    for name, period in vars(config.periods).items():
        start, end = period.start or first, period.end or last + timedelta(microseconds=1)
        empty = not ((positive >= start) & (positive < end)).any()
        where = f"no impression from {start} until {end} led to a graded interaction"
        first_text = where if empty else ""
        yield Finding("split", f"{name}_without_positives", "error", int(empty), first_text)


def _finding(
    table: str, rule: str, severity: Severity, rows: pl.DataFrame, advice: str = ""
) -> Finding:
    if not rows.height:
        return Finding(table, rule, severity, 0)
    first = _described(rows.row(0, named=True), advice)
    return Finding(table, rule, severity, rows.height, first)


def _described(row: Mapping[str, object], advice: str) -> str:
    return f"{_describe(row)}; {advice}" if advice else _describe(row)


def _describe(row: Mapping[str, object]) -> str:
    parts = [
        f"{name}={value if isinstance(value, datetime) else repr(value)}"
        for name, value in row.items()
        if value is not None
    ]
    text = " ".join(parts)
    return text if len(text) <= _LONGEST_ROW else text[: _LONGEST_ROW - 3] + "..."
