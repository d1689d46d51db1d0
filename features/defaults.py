"""The default feature set of a workspace that declares none."""

from collections.abc import Sequence
from typing import Literal

from features.counter_spec import EVER, ITEM, USER
from features.feature_set import FeatureSet
from features.kinds.affinity import Affinity, PriceAgainstUsual
from features.kinds.base import Feature
from features.kinds.co_visitation import CoVisitation
from features.kinds.context import Given, LocalTime
from features.kinds.counts import FirstSeen, Rate, Recency, Trend, WindowCount
from features.kinds.item import Age, Price
from features.kinds.repeats import ItemRepeat, RepeatShare, Rhythm
from features.kinds.slate import SlatePercentile
from features.log.events import IMPRESSION, SESSION
from features.settings import FeatureSettings


def choose_features(settings: FeatureSettings, kinds: Sequence[str], *, logged: bool) -> FeatureSet:
    """Give the features of a workspace: those it declares, or the default set.

    Args:
        settings: The workspace's settings.
        kinds: Kinds of interaction, weakest first.
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
    """Choose the features of a workspace that declares none.

    Counts of impressions and rates per impression are only there when slates were logged: sampled
    slates would tell the ranker how they were sampled.

    Args:
        settings: The workspace's settings.
        kinds: Kinds of interaction, weakest first.
        logged: Whether slates were shown rather than sampled.

    Returns:
        About forty to sixty features.
    """
    weak, strong = kinds[0], kinds[-1]
    own = list(dict.fromkeys((weak, strong)))
    windows = sorted(set(settings.windows_days))
    chosen: list[Feature] = [
        *(WindowCount((ITEM,), kind, days) for kind in own for days in windows),
        *([Trend((ITEM,), weak, windows[-3], windows[-1])] if len(windows) > 2 else []),
        Recency((ITEM,), weak),
        *([Rate((ITEM,), strong, weak, 90, settings.smoothing)] if strong != weak else []),
        *(WindowCount((USER,), kind, 90) for kind in own),
        WindowCount((USER,), SESSION, EVER),
        Recency((USER,), weak),
        *_pair(own),
        *_attributes(settings, own),
        Price(),
        PriceAgainstUsual(strong),
        Age(),
        FirstSeen((ITEM,), strong),
        *_together("session"),
        *_together("user"),
        LocalTime("hour", settings.timezone),
        LocalTime("weekday", settings.timezone),
        *(Given(name) for name in settings.given),
    ]
    if logged:
        chosen += _from_impressions(settings, weak)
    by_month = max((days for days in windows if days <= 30), default=windows[0])
    ranked: list[Feature] = [
        WindowCount((ITEM,), weak, by_month),
        CoVisitation("session", "sum", 30),
        CoVisitation("user", "sum", 30),
        Price(),
    ]
    return FeatureSet((*chosen, *(SlatePercentile(feature.name) for feature in ranked)))


def _pair(kinds: list[str]) -> list[Feature]:
    strong = kinds[-1]
    return [
        *(WindowCount((USER, ITEM), kind, EVER) for kind in kinds),
        WindowCount((USER, ITEM), strong, 90),
        *(Recency((USER, ITEM), kind) for kind in kinds),
        RepeatShare(strong),
        Rhythm(strong),
        ItemRepeat("rate"),
        ItemRepeat("days"),
    ]


def _attributes(settings: FeatureSettings, kinds: list[str]) -> list[Feature]:
    weak = kinds[0]
    return [
        feature
        for name in settings.attributes
        for feature in (
            WindowCount((name,), weak, 30),
            Affinity(name, weak, EVER, 5.0),
            Affinity(name, weak, 30, 5.0),
            WindowCount((USER, name), weak, EVER),
            Recency((USER, name), weak),
        )
    ]


def _together(how: Literal["session", "user"]) -> list[Feature]:
    return [CoVisitation(how, "max", 30), CoVisitation(how, "sum", 30), CoVisitation(how, "max", 5)]


def _from_impressions(settings: FeatureSettings, kind: str) -> list[Feature]:
    smoothing = settings.smoothing
    return [
        Rate((ITEM,), kind, IMPRESSION, 7, smoothing),
        Rate((ITEM,), kind, IMPRESSION, 30, smoothing),
        *(Rate((name,), kind, IMPRESSION, 30, smoothing) for name in settings.attributes),
        Rate((USER,), kind, IMPRESSION, 30, smoothing),
        WindowCount((USER, ITEM), IMPRESSION, 7),
        Recency((USER, ITEM), IMPRESSION),
    ]
