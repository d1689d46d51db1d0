"""A set of features that fits the data of a workspace, with the reason for each group."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import tomlkit
from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from data_contracts.items import Items
from features.counter_spec import EVER, ITEM, USER
from features.kinds.affinity import Affinity, PriceAgainstUsual
from features.kinds.co_visitation import CoVisitation
from features.kinds.columns import AnyKind
from features.kinds.context import ContextWord, Given, LocalTime
from features.kinds.counts import FirstSeen, Rate, Recency, Trend, WindowCount, WindowSum
from features.kinds.history import LastShare, TagAffinity
from features.kinds.item import Age, AttributeNumber, Price
from features.kinds.repeats import ItemRepeat, RepeatShare, Rhythm
from features.kinds.slate import SlatePercentile
from features.log.catalogue import PRICE_BAND
from features.log.events import IMPRESSION, SESSION
from features.settings import OF_THE_DEFAULT_SET, FeatureSettings
from recsys.workspace.config import WorkspaceConfig, features_table
from recsys.workspace.facts import NOT_ATTRIBUTES, ColumnFacts, Facts

WINDOWS = (1, 7, 30, 90)
_COVERED = 0.3
_MOST_ATTRIBUTES = 4
_MOST_WORDS = 20
_AFFINITY_SMOOTHING = 5.0


@dataclass(frozen=True)
class Group:
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

    groups: Sequence[Group]
    settings: FeatureSettings

    def toml(self) -> str:
        """Write the part `[features]` as it stands in `recsys.toml`."""
        return tomlkit.dumps({"features": features_table(self.settings, defaults=False)})


def propose(facts: Facts, config: WorkspaceConfig) -> Proposal:
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

    def __init__(self, facts: Facts, config: WorkspaceConfig) -> None:
        self.facts, self.config = facts, config
        kinds = [kind for kind, count in facts.kinds.items() if count]
        self.weak, self.strong = kinds[0], kinds[-1]
        self.own = list(dict.fromkeys((self.weak, self.strong)))
        self.between = kinds[1:-1]
        self.before_days = _days(facts.first, config.split.text_end)
        self.windows = [days for days in WINDOWS if days <= max(2 * self.before_days, 1)]
        self.attributes: list[str] = []

    def groups(self) -> Iterator[Group]:
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

    def _popularity(self) -> Group:
        windows, weak = self.windows, self.weak
        columns: list[AnyKind] = [
            WindowCount((ITEM,), kind, days) for kind in self.own for days in windows
        ]
        if len(windows) > 2:
            columns.append(Trend((ITEM,), weak, windows[-3], windows[-1]))
        columns.append(Recency((ITEM,), weak))
        if self.strong != weak:
            smoothing = self.config.features.smoothing
            columns.append(Rate((ITEM,), self.strong, weak, windows[-1], smoothing))
        long = [days for days in WINDOWS if days not in windows]
        short = f"; windows of {long} days would be less than half full then" if long else ""
        return Group(
            "popularity of items",
            f"{self._volume(self.own)}; {self.before_days} days of log before the ranker's first "
            f"row{short}",
            columns,
        )

    def _kinds_between(self) -> Iterator[Group]:
        for kind in self.between:
            each = self.facts.kinds[kind] / max(self.facts.items, 1)
            title = f"{kind} events of items and of pairs"
            if each < 1:
                yield Group(title, f"{self._volume([kind])}: fewer than one an item")
                continue
            columns = [WindowCount((ITEM,), kind, self._month)]
            if self._has_users:
                columns.append(WindowCount((USER, ITEM), kind, self.windows[-1]))
            yield Group(title, f"{self._volume([kind])}, a step between the others", columns)

    def _users(self) -> Group:
        title = "what the user does at all"
        if not self._has_users:
            return Group(title, self._no_users)
        columns: list[AnyKind] = [
            *(WindowCount((USER,), kind, self.windows[-1]) for kind in self.own),
            WindowCount((USER,), SESSION, EVER),
            Recency((USER,), self.weak),
        ]
        return Group(title, f"{self.facts.with_user:.0%} of interactions have a user", columns)

    def _value(self) -> Group:
        title = "what the user spends"
        told = f"{self.facts.with_value:.0%} of {self.strong} events have a value"
        if self.facts.with_value < _COVERED or not self._has_users:
            return Group(title, told if self._has_users else self._no_users)
        return Group(title, told, [WindowSum((USER,), self.strong, self.windows[-1])])

    def _pairs(self) -> Group:
        title = "the user and this item"
        if not self._has_users:
            return Group(title, self._no_users)
        pair = (USER, ITEM)
        columns: list[AnyKind] = [
            *(WindowCount(pair, kind, EVER) for kind in self.own),
            WindowCount(pair, self.strong, self.windows[-1]),
            *(Recency(pair, kind) for kind in self.own),
        ]
        return Group(title, "whether they met before, how often, how long ago", columns)

    def _repeats(self) -> Group:
        title = "coming back"
        told = f"{self.facts.repeats:.1%} of pairs of user and item meet on two days or more"
        if not self._has_users or self.facts.repeats < 0.01:
            return Group(title, told)
        strong = self.strong
        columns: list[AnyKind] = [
            RepeatShare(strong),
            Rhythm(strong),
            ItemRepeat("rate"),
            ItemRepeat("days"),
        ]
        return Group(title, told, columns)

    def _attributes(self) -> Iterator[Group]:
        facts = self.facts
        for name, column in facts.columns.items():
            if column.numeric or name in NOT_ATTRIBUTES:
                continue
            yield self._attribute(name, column)
        band = facts.columns[PRICE_BAND]
        if band.coverage >= _COVERED:
            yield self._attribute(PRICE_BAND, band)

    def _attribute(self, name: str, column: ColumnFacts) -> Group:
        title = f"{name}, and the user's liking for it"
        told = f"{column.coverage:.0%} of items have one of {column.distinct:,} values"
        if column.coverage < _COVERED:
            return Group(title, told)
        if column.distinct < 2:
            return Group(title, f"{told}: nothing to tell apart")
        if column.distinct > self.facts.items / 2:
            return Group(title, f"{told}: nearly one for each item, as good as its identifier")
        if len(self.attributes) >= _MOST_ATTRIBUTES:
            return Group(title, f"{told}; left out after {_MOST_ATTRIBUTES} others")
        self.attributes.append(name)
        weak = self.weak
        columns: list[AnyKind] = [WindowCount((name,), weak, self._month)]
        if self._has_users:
            columns += [
                Affinity(name, weak, EVER, _AFFINITY_SMOOTHING),
                Affinity(name, weak, self._month, _AFFINITY_SMOOTHING),
                WindowCount((USER, name), weak, EVER),
                Recency((USER, name), weak),
            ]
        return Group(title, told, columns)

    def _numbers(self) -> Iterator[Group]:
        for name, kind in self.config.attributes.items():
            column = self.facts.columns[name]
            if kind != "number":
                continue
            told = f"{column.coverage:.0%} of items have one, {column.distinct:,} different"
            good = column.coverage >= _COVERED and column.distinct > 1
            yield Group(f"{name} of items", told, [AttributeNumber(name)] if good else [])

    def _price(self) -> Group:
        title = "price"
        column = self.facts.columns[Items.price.name]
        told = f"{column.coverage:.0%} of items have a price"
        if column.coverage < _COVERED:
            return Group(title, told)
        usual = [PriceAgainstUsual(self.strong)] if self._has_users else []
        return Group(title, told, [Price(), *usual])

    def _age(self) -> Group:
        column = self.facts.columns[Items.listed_at.name]
        told = f"{column.coverage:.0%} of items say since when they are listed"
        first = FirstSeen((ITEM,), self.strong)
        if column.coverage < _COVERED:
            return Group("age of items", f"{told}: from the first {self.strong} instead", [first])
        return Group("age of items", told, [Age(), first])

    def _together(self) -> Iterator[Group]:
        mean = self.facts.session_items
        told = f"{mean:.1f} different items in a session"
        yield Group(
            "co-visitation by session",
            told if mean >= 1.2 else f"{told}: too few to meet",
            _co_visitation("session") if mean >= 1.2 and self._has_users else [],
        )
        yield Group(
            "co-visitation by user",
            "what users took beside this item" if self._has_users else self._no_users,
            _co_visitation("user") if self._has_users else [],
        )

    def _last(self) -> Group:
        title = "the user's last interactions"
        if not self._has_users:
            return Group(title, self._no_users)
        if not self.attributes:
            return Group(title, "no attribute to compare them by; co-visitation compares items")
        first = self.attributes[0]
        return Group(title, f"what they are after now, by {first}", [LastShare(first, 10)])

    def _tags(self) -> Group:
        title = "the user's liking for tags"
        column = self.facts.columns[Items.tags.name]
        told = f"{column.coverage:.0%} of items have any of {column.distinct:,} tags"
        if column.coverage < _COVERED or not self._has_users:
            return Group(title, told)
        return Group(title, told, [TagAffinity(30, _AFFINITY_SMOOTHING)])

    def _time(self) -> Group:
        zone = self.config.features.timezone
        weekday, hour = LocalTime("weekday", zone), LocalTime("hour", zone)
        share = self.facts.of_the_day
        if share < 0.05:
            return Group("local time", "all events are at midnight: weekday alone", [weekday])
        return Group("local time", f"where users live: {zone}", [hour, weekday])

    def _context(self) -> Iterator[Group]:
        for key, found in self.facts.context.items():
            told = f"{found.coverage:.0%} of impressions, {found.distinct:,} different values"
            title = f"`{key}` from the caller"
            if found.coverage < 0.05 or found.distinct < 2:
                yield Group(title, f"{told}: too little to learn from")
            elif found.numeric:
                yield Group(title, f"{told}, all numbers", [Given(key)])
            else:
                yield self._words(title, key, told, found)

    def _words(self, title: str, key: str, told: str, found: ColumnFacts) -> Group:
        if found.distinct > _MOST_WORDS:
            return Group(title, f"{told}: more than {_MOST_WORDS} words")
        return Group(title, told, [ContextWord(key, tuple(found.values))])

    def _impressions(self) -> Group:
        title = "what was shown"
        if self.config.slate_source == "sampled":
            why = "slates are sampled: they would tell the ranker how they were sampled"
            return Group(title, why)
        smoothing, weak = self.config.features.smoothing, self.weak
        short = [days for days in self.windows if days in (7, 30)] or [self.windows[-1]]
        columns: list[AnyKind] = [Rate((ITEM,), weak, IMPRESSION, d, smoothing) for d in short]
        columns += [
            Rate((name,), weak, IMPRESSION, self._month, smoothing) for name in self.attributes
        ]
        if self._has_users:
            columns += [
                Rate((USER,), weak, IMPRESSION, self._month, smoothing),
                WindowCount((USER, ITEM), IMPRESSION, min(7, self.windows[-1])),
                Recency((USER, ITEM), IMPRESSION),
            ]
        return Group(title, "slates were logged: rates per impression, and fatigue", columns)

    def _relative(self) -> Group:
        of = [WindowCount((ITEM,), self.weak, self._month).name]
        if self._has_users:
            if self.facts.session_items >= 1.2:
                of.append(CoVisitation("session", "sum", 30).name)
            of.append(CoVisitation("user", "sum", 30).name)
        if self.facts.columns[Items.price.name].coverage >= _COVERED:
            of.append(Price().name)
        columns = [SlatePercentile(name) for name in of]
        return Group("among the slate's candidates", "the order is all that counts", columns)

    @property
    def _month(self) -> int:
        return max(days for days in self.windows if days <= 30)

    @property
    def _has_users(self) -> bool:
        return self.facts.with_user >= 0.05

    @property
    def _no_users(self) -> str:
        return f"only {self.facts.with_user:.1%} of interactions have a user"

    def _volume(self, kinds: Sequence[str]) -> str:
        return ", ".join(f"{self.facts.kinds[kind]:,} {kind} events" for kind in kinds)


def _co_visitation(how: Literal["session", "user"]) -> list[AnyKind]:
    return [CoVisitation(how, "max", 30), CoVisitation(how, "sum", 30), CoVisitation(how, "max", 5)]


def _days(first: datetime, end: datetime) -> int:
    return max((end - first).days, 0)


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
