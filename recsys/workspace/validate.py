"""Validation of a workspace: every table, every row, and how the tables fit together."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from data_contracts.errors import DataError
from data_contracts.events import Impressions, Interactions
from data_contracts.export import rule_names
from data_contracts.names import SEEN
from data_contracts.progress import Track, silent
from data_contracts.reading import REASON, check_rows, unread_columns
from data_contracts.storage import write_parquet
from features.log.end import labelled_until, log_end
from features.log.events import IMPRESSION
from features.log.item_columns import said
from recsys.labels.grades import LabelSettings, grade_impressions
from recsys.text.template import item_texts
from recsys.workspace.backfill import stray_dates
from recsys.workspace.config import WorkspaceConfig
from recsys.workspace.context import CONTEXT_RULES, context_faults
from recsys.workspace.feature_sets import features_of, interaction_kinds
from recsys.workspace.findings import (
    SPLIT,
    Finding,
    Severity,
    ValidationReport,
    described,
    finding_of,
)
from recsys.workspace.records import late_versions, split_copies, unknown_items, with_text
from recsys.workspace.shortages import SHORTAGE_RULES, Shortage, shortages
from recsys.workspace.workspace import TABLES, Workspace

_ITEMS, _IMPRESSIONS, _INTERACTIONS = TABLES
_FEW_AHEAD = 0.01
_LETTER = rf"[\p{{L}}\p{{N}}&&{SEEN}]"
_ORDER = "if it is an order's, join it with the line or the item"


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
    findings += _across_tables(good, workspace.config, moment)
    return ValidationReport(tuple(findings), rejected)


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
        findings.append(finding_of(table, "duplicate", "warning", copies))
        findings.append(finding_of(table, "duplicate_differs", "warning", found.differing))
        findings.append(finding_of(table, "event_id_of_several_events", "error", others, _ORDER))
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
        first = described(failure.first, failure.advice)
        findings.append(Finding(table, rule, "error", failure.count, first))
    bad.append(checked.bad)
    good = checked.good
    if table != _ITEMS:
        late = Interactions.timestamp.col > now
        future = good.filter(late)
        few = future.height <= _FEW_AHEAD * good.height
        severity: Severity = "warning" if few else "error"
        findings.append(finding_of(table, "in_the_future", severity, future, "its clock is ahead"))
        bad.append(future.with_columns(pl.lit("in_the_future").alias(REASON)))
        good = good.filter(~late) if future.height else good
    return _Checked(findings, good, pl.concat(bad))


def _ids_of_several_days(frame: pl.DataFrame) -> Finding:
    """Count events whose id another day's event has too; features and labels keep them apart."""
    again = frame.filter(Interactions.event_id.col.is_duplicated())
    rows = again.filter(Interactions.event_id.col.is_not_null())
    return finding_of(_INTERACTIONS, "event_id_on_several_days", "warning", rows)


def _across_tables(
    good: Mapping[str, pl.DataFrame], config: WorkspaceConfig, now: datetime
) -> Iterator[Finding]:
    items, impressions = good.get(_ITEMS), good.get(_IMPRESSIONS)
    interactions = good.get(_INTERACTIONS)
    if impressions is not None:
        yield from _context(impressions, config)
    if items is not None:
        yield _without_values(items, config)
        silent = _without_text(items, config)
        yield finding_of(_ITEMS, "without_text", "warning", items.filter(silent))
        yield late_versions(_ITEMS, items)
    if items is not None and impressions is not None:
        yield from unknown_items(_IMPRESSIONS, impressions, items)
    if interactions is not None:
        if items is not None:
            yield from unknown_items(_INTERACTIONS, interactions, items)
        if impressions is not None:
            linked = interactions.filter(Interactions.request_id.col.is_not_null())
            orphans = _unknown(linked, impressions, Impressions.request_id.name)
            yield finding_of(_INTERACTIONS, "orphan", "warning", orphans)
        ungraded = interactions.filter(~Interactions.kind.col.is_in(interaction_kinds(config)))
        yield finding_of(_INTERACTIONS, "kind_without_grade", "warning", ungraded)
        yield _guests(interactions)
        yield from _late(interactions, config)
    if impressions is not None and interactions is not None and impressions.height:
        yield _strays(impressions, interactions)
        yield from _check_moments(impressions, interactions, config)
        yield _rates(impressions, interactions, config)
        if items is not None:
            window = config.labels.attribution_window // timedelta(microseconds=1)
            moment = int(now.timestamp() * 1e6)
            end = log_end(impressions.lazy(), window, moment)
            known = with_text(items, silent, impressions)
            found = shortages(known, impressions, interactions, config, labelled_until(end, window))
            yield from _lacking(found)


def _rates(
    impressions: pl.DataFrame, interactions: pl.DataFrame, config: WorkspaceConfig
) -> Finding:
    """Look for rates of features that are above 1 in the log as a whole."""
    pairs = [pair for pair in features_of(config).rates if IMPRESSION not in pair]
    hours = config.labels.attribution_window_hours
    led = {}
    for kind in dict.fromkeys(kind for pair in pairs for kind in pair):
        alone = LabelSettings(grades={kind: 1}, label_gain=(0, 1), attribution_window_hours=hours)
        led[kind] = int(grade_impressions(impressions, interactions.lazy(), alone).sum())
    told = [
        f"{led[kind]:,} impressions led to {kind} and {led[per]:,} to {per}: log every {per}, or "
        f"declare {kind} per impression"
        for kind, per in pairs
        if led[kind] > led[per]
    ]
    return Finding(_INTERACTIONS, "rate_above_1", "error", len(told), "; ".join(told))


def _strays(impressions: pl.DataFrame, interactions: pl.DataFrame) -> Finding:
    """Look for a few rows long before or after all others."""
    day = Interactions.timestamp.col.dt.epoch("d").alias("day")
    days = pl.concat([impressions.select(day), interactions.select(day)])
    rows = dict(days.group_by("day").len().rows())
    told = "; ".join(stray_dates(rows))
    return Finding("log", "dates_far_from_all_others", "warning", int(bool(told)), told)


def _lacking(found: Iterable[Shortage]) -> Iterator[Finding]:
    """Give every rule of what the periods have to hold, also those that nothing breaks."""
    broken = {(each.part, each.rule): each for each in found}
    for part, rule in SHORTAGE_RULES:
        each = broken.get((part, rule))
        count, told = (each.count, each.told) if each else (0, "")
        yield Finding(SPLIT, f"{part}_{rule}", "error", count, told, part)


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


def _without_text(items: pl.DataFrame, config: WorkspaceConfig) -> np.ndarray:
    """Tell which items have no text; what has a letter or a digit is not put together."""
    text, says = config.text, []
    for name in text.template:
        is_list = isinstance(items.schema[name], pl.List)
        words = pl.col(name).list.join(" ") if is_list else pl.col(name)
        says.append(words.str.contains(_LETTER).fill_null(value=False))
    silent = ~items.select(pl.any_horizontal(says)).to_series().to_numpy()
    doubtful = items.filter(silent)
    silent[silent] = (item_texts(doubtful, text.template, text.limits) == "").to_numpy()
    return silent


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
    yield finding_of(_INTERACTIONS, "late", "info", late)
    too_late = late.filter(delay > pl.duration(days=config.features.late_days))
    yield finding_of(_INTERACTIONS, "too_late", "warning", too_late)


def _check_moments(
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
        yield Finding(SPLIT, f"{name}_outside_of_the_log", "error", int(outside), where)
