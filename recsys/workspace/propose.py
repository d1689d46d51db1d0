"""A set of features that fits the data of a workspace, with the reason for each group."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import tomlkit
from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from data_contracts.items import Items
from data_contracts.names import name_fault
from features.counter_spec import ITEM, USER
from features.defaults import AFFINITY_SMOOTHING, DefaultColumns
from features.kinds.columns import AnyKind
from features.kinds.context import ContextWord, Given, LocalTime
from features.kinds.counts import WindowCount, WindowSum
from features.kinds.history import LastShare, TagAffinity
from features.kinds.item import Age, AttributeNumber
from features.log.item_columns import PRICE_BAND
from features.settings import OF_THE_DEFAULT_SET, FeatureSettings
from recsys.workspace.config import WorkspaceConfig, features_table
from recsys.workspace.facts import NOT_ATTRIBUTES, ColumnFacts, WorkspaceFacts

WINDOWS = (1, 7, 30, 90)
_COVERED = 0.3
_MOST_ATTRIBUTES = 4
_MOST_WORDS = 20


@dataclass(frozen=True)
class ColumnGroup:
    """Some columns that stand or fall together.

    Attributes:
        title: What they are.
        why: Why they are in, or left out.
        columns: The columns; none when the group is left out.
    """

    title: str
    why: str
    columns: Sequence[AnyKind] = ()


@dataclass(frozen=True)
class Proposal:
    """A set of features, group by group.

    Attributes:
        groups: Those that are in, and those that were left out.
        settings: The part `[features]` that chooses the columns of the former.
    """

    groups: Sequence[ColumnGroup]
    settings: FeatureSettings

    def toml(self) -> str:
        """Write the part `[features]` as it stands in `recsys.toml`."""
        return tomlkit.dumps({"features": features_table(self.settings, defaults=False)})


def propose(facts: WorkspaceFacts, config: WorkspaceConfig) -> Proposal:
    """Choose features for what a workspace holds.

    Args:
        facts: What it holds.
        config: Its configuration; slate source, kinds, time zone and smoothing come from there.

    Returns:
        The proposal.
    """
    groups = list(_Chooser(facts, config).groups())
    columns = tuple(column for group in groups for column in group.columns)
    kept = config.features.model_dump(exclude={"columns", *OF_THE_DEFAULT_SET})
    return Proposal(groups, FeatureSettings(**kept, columns=columns))


class _Chooser:
    """Goes through the kinds of features."""

    def __init__(self, facts: WorkspaceFacts, config: WorkspaceConfig) -> None:
        self.facts, self.config = facts, config
        kinds = [kind for kind, count in facts.kinds.items() if count]
        self.between = kinds[1:-1]
        self.before_days = max((config.split.text_end - facts.first).days, 0)
        windows = [days for days in WINDOWS if days <= max(2 * self.before_days, 1)]
        self.has_users = facts.with_user >= 0.05
        self.columns = DefaultColumns(
            kinds[0],
            kinds[-1],
            windows,
            windows[-1],
            max(days for days in windows if days <= 30),
            config.features.smoothing,
            self.has_users,
            config.slate_source == "logged",
        )
        self.attributes: list[str] = []

    def groups(self) -> Iterator[ColumnGroup]:
        """Give the groups in the order of their columns."""
        yield self._popularity()
        yield from self._kinds_between()
        yield self._users()
        yield self._value()
        yield self._pairs()
        yield self._repeats()
        yield from self._attributes()
        yield from self._numbers()
        yield self._price()
        yield self._age()
        yield from self._together()
        yield self._last()
        yield self._tags()
        yield self._time()
        yield from self._context()
        yield self._impressions()
        yield self._relative()

    def _popularity(self) -> ColumnGroup:
        long = [days for days in WINDOWS if days not in self.columns.windows]
        short = f"; windows of {long} days would be less than half full then" if long else ""
        return ColumnGroup(
            "popularity of items",
            f"{self._volume(self.columns.kinds)}; {self.before_days} days of log before the "
            f"ranker's first row{short}",
            self.columns.popularity(),
        )

    def _kinds_between(self) -> Iterator[ColumnGroup]:
        for kind in self.between:
            each = self.facts.kinds[kind] / max(self.facts.items, 1)
            title = f"{kind} events of items and of pairs"
            if each < 1:
                yield ColumnGroup(title, f"{self._volume([kind])}: fewer than one an item")
                continue
            columns = [WindowCount((ITEM,), kind, self.columns.month_days)]
            if self.has_users:
                columns.append(WindowCount((USER, ITEM), kind, self.columns.long_days))
            yield ColumnGroup(title, f"{self._volume([kind])}, a step between the others", columns)

    def _users(self) -> ColumnGroup:
        why = f"{self.facts.with_user:.0%} of interactions have a user"
        return self._of_users("what the user does at all", why, self.columns.users())

    def _value(self) -> ColumnGroup:
        strong = self.columns.strong
        why = f"{self.facts.with_value:.0%} of {strong} events have a value"
        spent = WindowSum((USER,), strong, self.columns.long_days)
        covered = self.facts.with_value >= _COVERED
        return self._of_users("what the user spends", why, [spent] if covered else [])

    def _pairs(self) -> ColumnGroup:
        why = "whether they met before, how often, how long ago"
        return self._of_users("the user and this item", why, self.columns.pairs())

    def _repeats(self) -> ColumnGroup:
        why = f"{self.facts.repeats:.1%} of pairs of user and item meet on two days or more"
        good = self.has_users and self.facts.repeats >= 0.01
        return ColumnGroup("coming back", why, self.columns.repeats() if good else [])

    def _attributes(self) -> Iterator[ColumnGroup]:
        facts = self.facts
        for name, column in facts.columns.items():
            if not column.numeric and name not in NOT_ATTRIBUTES:
                yield self._attribute(name, column)
        band = facts.columns[PRICE_BAND]
        if band.coverage >= _COVERED:
            yield self._attribute(PRICE_BAND, band)

    def _attribute(self, name: str, column: ColumnFacts) -> ColumnGroup:
        title = f"{name}, and the user's liking for it"
        told = f"{column.coverage:.0%} of items have one of {column.distinct:,} values"
        if column.coverage < _COVERED:
            return ColumnGroup(title, told)
        if column.distinct < 2:
            return ColumnGroup(title, f"{told}: nothing to tell apart")
        if column.distinct > self.facts.items / 2:
            return ColumnGroup(
                title, f"{told}: nearly one for each item, as good as its identifier"
            )
        if len(self.attributes) >= _MOST_ATTRIBUTES:
            return ColumnGroup(title, f"{told}; left out after {_MOST_ATTRIBUTES} others")
        self.attributes.append(name)
        return ColumnGroup(title, told, self.columns.attribute(name))

    def _numbers(self) -> Iterator[ColumnGroup]:
        for name, kind in self.config.attributes.items():
            column = self.facts.columns[name]
            if kind != "number":
                continue
            told = f"{column.coverage:.0%} of items have one, {column.distinct:,} different"
            good = column.coverage >= _COVERED and column.distinct > 1
            yield ColumnGroup(f"{name} of items", told, [AttributeNumber(name)] if good else [])

    def _price(self) -> ColumnGroup:
        coverage = self.facts.columns[Items.price.name].coverage
        columns = self.columns.price() if coverage >= _COVERED else []
        return ColumnGroup("price", f"{coverage:.0%} of items have a price", columns)

    def _age(self) -> ColumnGroup:
        coverage = self.facts.columns[Items.listed_at.name].coverage
        told = f"{coverage:.0%} of items say since when they are listed"
        first = self.columns.first_seen()
        if coverage < _COVERED:
            why = f"{told}: from the first {self.columns.strong} instead"
            return ColumnGroup("age of items", why, [first])
        return ColumnGroup("age of items", told, [Age(), first])

    def _together(self) -> Iterator[ColumnGroup]:
        told = f"{self.facts.session_items:.1f} different items in a session"
        yield ColumnGroup(
            "co-visitation by session",
            told if self._has_sessions else f"{told}: too few to meet",
            self.columns.co_visitation("session") if self._has_sessions and self.has_users else [],
        )
        why = "what users took beside this item"
        yield self._of_users("co-visitation by user", why, self.columns.co_visitation("user"))

    def _last(self) -> ColumnGroup:
        title = "the user's last interactions"
        if not self.attributes:
            why = "no attribute to compare them by; co-visitation compares items"
            return self._of_users(title, why, [])
        first = self.attributes[0]
        why = f"what they are after now, by {first}"
        return self._of_users(title, why, [LastShare(first, 10)])

    def _tags(self) -> ColumnGroup:
        column = self.facts.columns[Items.tags.name]
        why = f"{column.coverage:.0%} of items have any of {column.distinct:,} tags"
        good = column.coverage >= _COVERED and self.has_users
        columns = [TagAffinity(30, AFFINITY_SMOOTHING)] if good else []
        return ColumnGroup("the user's liking for tags", why, columns)

    def _time(self) -> ColumnGroup:
        zone = self.config.features.timezone
        weekday, hour = LocalTime("weekday", zone), LocalTime("hour", zone)
        share = self.facts.of_the_day
        if share < 0.05:
            return ColumnGroup("local time", "all events are at midnight: weekday alone", [weekday])
        return ColumnGroup("local time", f"where users live: {zone}", [hour, weekday])

    def _context(self) -> Iterator[ColumnGroup]:
        for key, found in self.facts.context.items():
            told = f"{found.coverage:.0%} of impressions, {found.distinct:,} different values"
            title = f"`{key}` from the caller"
            if found.coverage < 0.05 or found.distinct < 2:
                yield ColumnGroup(title, f"{told}: too little to learn from")
            elif fault := name_fault(key):
                yield ColumnGroup(title, f"{told}: {fault}")
            elif found.numeric:
                yield ColumnGroup(title, f"{told}, all numbers", [Given(key)])
            elif found.distinct > _MOST_WORDS:
                yield ColumnGroup(title, f"{told}: more than {_MOST_WORDS} words")
            else:
                yield ColumnGroup(title, told, [ContextWord(key, tuple(found.values))])

    def _impressions(self) -> ColumnGroup:
        title = "what was shown"
        if self.config.slate_source == "sampled":
            why = "slates are sampled: they would tell the ranker how they were sampled"
            return ColumnGroup(title, why)
        windows = self.columns.windows
        short = [days for days in windows if days in (7, 30)] or [windows[-1]]
        why = "slates were logged: rates per impression, and fatigue"
        return ColumnGroup(title, why, self.columns.impressions(short, self.attributes))

    def _relative(self) -> ColumnGroup:
        has_price = self.facts.columns[Items.price.name].coverage >= _COVERED
        columns = self.columns.in_slate(
            self.columns.month_days, sessions=self._has_sessions, price=has_price
        )
        return ColumnGroup("among the slate's candidates", "the order is all that counts", columns)

    @property
    def _has_sessions(self) -> bool:
        return self.facts.session_items >= 1.2

    def _of_users(self, title: str, why: str, columns: Sequence[AnyKind]) -> ColumnGroup:
        if self.has_users:
            return ColumnGroup(title, why, columns)
        return ColumnGroup(title, f"only {self.facts.with_user:.1%} of interactions have a user")

    def _volume(self, kinds: Sequence[str]) -> str:
        return ", ".join(f"{self.facts.kinds[kind]:,} {kind} events" for kind in kinds)


def render_proposal(proposal: Proposal) -> RenderableType:
    """Say for each group whether it is in, how many columns it has, and why."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("columns", justify="right", no_wrap=True)
    table.add_column("what")
    table.add_column("why")
    for group in proposal.groups:
        count = Text(str(len(group.columns)) if group.columns else "left out")
        table.add_row(count, group.title, group.why, style="" if group.columns else "dim")
    total = sum(len(group.columns) for group in proposal.groups)
    table.caption = f"{total} columns"
    table.caption_justify = "left"
    return table
