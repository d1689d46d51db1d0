"""Plan of a backfill: which columns of which days are missing or out of date, and why."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.arrays.clock import day_name
from features.backfill.provenance import Provenance
from features.backfill.rows import RowsOrigin, made_from, row_file
from features.counter_spec import CounterSpec


@dataclass(frozen=True)
class Plan:
    """Columns to compute.

    Attributes:
        wanted: Columns to compute, by day number; a day without any only loses columns.
        reasons: Why, one sentence each, with counts.
    """

    wanted: Mapping[int, tuple[str, ...]]
    reasons: tuple[str, ...]

    def specs(self, provenance: Provenance) -> tuple[CounterSpec, ...]:
        """List the counters that the columns read."""
        names = {name for columns in self.wanted.values() for name in columns}
        return provenance.features.subset(names).counters


@dataclass(frozen=True)
class _Stale:
    """Reasons why one day is out of date."""

    absent: bool = False
    settings: bool = False
    inputs: bool = False
    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()

    def any(self) -> bool:
        whole = self.absent or self.settings or self.inputs
        return whole or bool(self.new or self.changed or self.dropped)


def plan(
    provenance: Provenance,
    folder: Path,
    days: Collection[int],
    names: Sequence[str],
    before: Mapping[str, Any],
    *,
    again: bool,
) -> Plan:
    """Compare the files on disk with what they should depend on.

    Args:
        provenance: What the files should depend on.
        folder: The folder of rows.
        days: The days wanted.
        names: The columns wanted.
        before: The manifest of the last run that ended.
        again: Whether to compute everything anew.

    Returns:
        The plan.
    """
    wanted: dict[int, tuple[str, ...]] = {}
    found: dict[int, _Stale] = {}
    for day in sorted(days):
        made = made_from(row_file(folder, day))
        stale = _Stale(absent=True) if again or made is None else _compare(provenance, day, made)
        if not stale.any():
            continue
        whole = stale.absent or stale.settings or stale.inputs
        chosen = set(names) if whole else {*stale.new, *stale.changed} & set(names)
        if not whole and not chosen and not stale.dropped:
            continue
        found[day] = stale
        wanted[day] = tuple(name for name in provenance.features.names if name in chosen)
    return Plan(wanted, tuple(_reasons(found, provenance, before, again=again)))


def _compare(provenance: Provenance, day: int, made: RowsOrigin) -> _Stale:
    columns = provenance.columns
    return _Stale(
        settings=made.base != provenance.base,
        inputs=made.base == provenance.base and made.inputs != provenance.rows(day),
        new=tuple(name for name in columns if name not in made.columns),
        changed=tuple(n for n in columns if made.columns.get(n, columns[n]) != columns[n]),
        dropped=tuple(name for name in made.columns if name not in columns),
    )


def _reasons(
    found: Mapping[int, _Stale],
    provenance: Provenance,
    before: Mapping[str, Any],
    *,
    again: bool,
) -> Iterable[str]:
    absent = sum(stale.absent for stale in found.values())
    if absent:
        yield f"{_days(absent)} {'computed again as asked' if again else 'not computed yet'}"
    if settings := sum(stale.settings for stale in found.values()):
        yield f"{_days(settings)} computed from other settings of the features, or other items"
    if inputs := sum(stale.inputs for stale in found.values()):
        yield f"{_days(inputs)} whose known events or items changed{_since(provenance, before)}"
    kept = [s for s in found.values() if not (s.absent or s.settings or s.inputs)]
    for word, part in (("new", "new"), ("changed", "changed"), ("no longer asked for", "dropped")):
        each = [getattr(stale, part) for stale in kept if getattr(stale, part)]
        names = list(dict.fromkeys(name for columns in each for name in columns))
        if names:
            columns = "column" if len(names) == 1 else "columns"
            yield f"{len(names)} {columns} {word}, in {_days(len(each))}: {', '.join(names)}"


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count:,} days"


def _since(provenance: Provenance, before: Mapping[str, Any]) -> str:
    """First day whose events differ from those of the last run, in words."""
    old: Mapping[str, str] = before.get("days", {})
    now = {day_name(number): day.digest for number, day in provenance.log.days.items()}
    changed = [day for day in {*old, *now} if old.get(day) != now.get(day)]
    if not old or not changed:
        return ""
    more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
    return f": other events became known on {min(changed)}{more}"
