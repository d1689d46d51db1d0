"""The default feature set, and its columns by theme, from which `recsys features init` chooses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from features.counter_spec import EVER, ITEM, USER
from features.feature_set import FeatureSet
from features.kinds.affinity import Affinity, PriceAgainstUsual
from features.kinds.co_visitation import CoVisitation
from features.kinds.columns import AnyKind
from features.kinds.context import Given, LocalTime
from features.kinds.counts import FirstSeen, Rate, Recency, Trend, WindowCount
from features.kinds.history import LastShare
from features.kinds.item import Age, AttributeCode, AttributeNumber, Price
from features.kinds.repeats import ItemRepeat, RepeatShare, Rhythm
from features.kinds.slate import SlatePercentile
from features.log.events import IMPRESSION, SESSION
from features.settings import FeatureSettings

AFFINITY_SMOOTHING = 5.0
"""Events that the prior of an affinity counts for."""


def choose_features(settings: FeatureSettings, kinds: Sequence[str], *, logged: bool) -> FeatureSet:
    """Features of a workspace: those it declares, or the default set.

    Args:
        settings: The workspace's settings.
        kinds: Kinds of interaction that have a grade, weakest first.
        logged: Whether slates were shown rather than sampled.

    Returns:
        The features.
    """
    if settings.columns is not None:
        return FeatureSet(settings.columns)
    return default_features(settings, kinds, logged=logged)


def default_features(
    settings: FeatureSettings, kinds: Sequence[str], *, logged: bool
) -> FeatureSet:
    """Default features of a workspace that declares none.

    Counts of impressions and rates, which count what impressions led to, are only there when slates
    were logged: those of sampled slates would leak how they were sampled.

    Args:
        settings: The workspace's settings.
        kinds: Kinds of interaction that have a grade, weakest first.
        logged: Whether slates were shown rather than sampled.

    Returns:
        About forty to sixty features.
    """
    windows = sorted(set(settings.windows_days))
    columns = DefaultColumns(
        kinds[0], kinds[-1], windows, 90, 30, settings.smoothing, logged=logged
    )
    in_slate = max((days for days in windows if days <= 30), default=windows[0])
    return FeatureSet(
        (
            *columns.popularity(),
            *columns.users(),
            *columns.pairs(),
            *columns.repeats(),
            *(column for name in settings.attributes for column in columns.attribute(name)),
            *(column for kind in settings.profile_kinds for column in _of_profile(kind, settings)),
            *columns.price(),
            Age(),
            columns.first_seen(),
            *columns.co_visitation("session"),
            *columns.co_visitation("user"),
            LocalTime("hour", settings.timezone),
            LocalTime("weekday", settings.timezone),
            *(Given(name) for name in settings.given),
            *(columns.impressions((7, 30), settings.attributes) if logged else ()),
            *columns.in_slate(in_slate, sessions=True, price=True),
        )
    )


def features_with(attribute: str, kinds: Sequence[str], *, is_text: bool) -> FeatureSet:
    """Features that the product makes by itself, with those of one column of items.

    Args:
        attribute: The column.
        kinds: Kinds of interaction, weakest first.
        is_text: Whether the column holds texts; otherwise it holds numbers.

    Returns:
        The features.

    Raises:
        ValueError: Two of them would have one name.
    """
    texts = (attribute,) if is_text else ()
    usual = default_features(FeatureSettings(attributes=texts), kinds, logged=True)
    number = [AttributeNumber(attribute)]
    text = [AttributeCode(attribute), LastShare(attribute, 10)]
    return usual.with_more(text if is_text else number)


def _of_profile(kind: str, settings: FeatureSettings) -> list[AnyKind]:
    """Give what a kind that only profiles read tells of a user."""
    affinities = (Affinity(each, kind, EVER, AFFINITY_SMOOTHING) for each in settings.attributes)
    return [WindowCount((USER,), kind, EVER), *affinities]


@dataclass(frozen=True)
class DefaultColumns:
    """Columns by theme, for the kinds of interaction and the windows of a workspace.

    Attributes:
        weak: The weakest kind of interaction.
        strong: The strongest one, possibly the same.
        windows: Windows of an item's counts, in days, ascending.
        long_days: Window of the counts of users and pairs, and of the rate of kinds.
        month_days: Window of attributes.
        smoothing: Events that the prior of a rate counts for.
        has_users: Whether columns may read the user.
        logged: Whether slates were shown rather than sampled.
    """

    weak: str
    strong: str
    windows: Sequence[int]
    long_days: int
    month_days: int
    smoothing: float
    has_users: bool = True
    logged: bool = True

    @property
    def kinds(self) -> list[str]:
        """The weakest and the strongest kind, or the only one."""
        return list(dict.fromkeys((self.weak, self.strong)))

    def popularity(self) -> list[AnyKind]:
        """Counts, trend, recency and rate of items."""
        item, windows = (ITEM,), self.windows
        trend = [Trend(item, self.weak, windows[-3], windows[-1])] if len(windows) > 2 else []
        has_rate = self.logged and self.strong != self.weak
        rate = Rate(item, self.strong, self.weak, self.long_days, self.smoothing)
        return [
            *(WindowCount(item, kind, days) for kind in self.kinds for days in windows),
            *trend,
            Recency(item, self.weak),
            *([rate] if has_rate else []),
        ]

    def users(self) -> list[AnyKind]:
        """Activity of the user."""
        return [
            *(WindowCount((USER,), kind, self.long_days) for kind in self.kinds),
            WindowCount((USER,), SESSION, EVER),
            Recency((USER,), self.weak),
        ]

    def pairs(self) -> list[AnyKind]:
        """Counts and recency of the user and this item."""
        pair = (USER, ITEM)
        return [
            *(WindowCount(pair, kind, EVER) for kind in self.kinds),
            WindowCount(pair, self.strong, self.long_days),
            *(Recency(pair, kind) for kind in self.kinds),
        ]

    def repeats(self) -> list[AnyKind]:
        """Repeat purchases."""
        strong = self.strong
        return [RepeatShare(strong), Rhythm(strong), ItemRepeat("rate"), ItemRepeat("days")]

    def attribute(self, name: str) -> list[AnyKind]:
        """Popularity of an attribute's value, and the user's affinity to it."""
        weak, days = self.weak, self.month_days
        of_user = [
            Affinity(name, weak, EVER, AFFINITY_SMOOTHING),
            Affinity(name, weak, days, AFFINITY_SMOOTHING),
            WindowCount((USER, name), weak, EVER),
            Recency((USER, name), weak),
        ]
        return [WindowCount((name,), weak, days), *(of_user if self.has_users else ())]

    def price(self) -> list[AnyKind]:
        """Price, alone and against the user's usual one."""
        return [Price(), *([PriceAgainstUsual(self.strong)] if self.has_users else ())]

    def first_seen(self) -> AnyKind:
        """Days since the item's first interaction of the strongest kind."""
        return FirstSeen((ITEM,), self.strong)

    def co_visitation(self, how: Literal["session", "user"]) -> list[AnyKind]:
        """Co-visitation with the user's last interactions."""
        newest: list[tuple[Literal["max", "sum"], int]] = [("max", 30), ("sum", 30), ("max", 5)]
        return [CoVisitation(how, by, count) for by, count in newest]

    def impressions(self, windows: Sequence[int], attributes: Sequence[str]) -> list[AnyKind]:
        """Rates per impression in some windows, and the user's fatigue in the shortest."""

        def rate(part: str, days: int) -> AnyKind:
            return Rate((part,), self.weak, IMPRESSION, days, self.smoothing)

        of_user = [
            rate(USER, self.month_days),
            WindowCount((USER, ITEM), IMPRESSION, windows[0]),
            Recency((USER, ITEM), IMPRESSION),
        ]
        return [
            *(rate(ITEM, days) for days in windows),
            *(rate(name, self.month_days) for name in attributes),
            *(of_user if self.has_users else ()),
        ]

    def in_slate(self, days: int, *, sessions: bool, price: bool) -> list[AnyKind]:
        """Percentiles in the slate: popularity, co-visitation and price."""
        of: list[AnyKind] = [WindowCount((ITEM,), self.weak, days)]
        if self.has_users:
            of += [CoVisitation("session", "sum", 30)] if sessions else []
            of.append(CoVisitation("user", "sum", 30))
        of += [Price()] if price else []
        return [SlatePercentile(column.name) for column in of]
