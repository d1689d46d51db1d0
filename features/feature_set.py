"""The features of a workspace, as one ordered set, and the default choice."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from features.counters import EVER, CounterSpec
from features.declarations import (
    Affinity,
    Age,
    CoVisitation,
    Feature,
    FirstSeen,
    Given,
    ItemRepeat,
    LocalTime,
    Price,
    PriceAgainstUsual,
    Rate,
    Recency,
    RepeatShare,
    Rhythm,
    SlateRank,
    Trend,
    WindowCount,
)
from features.log import IMPRESSION, SESSION
from features.reader import ITEM, USER, Reader
from features.settings import FeatureSettings


@dataclass(frozen=True)
class FeatureSet:
    """Declared features in the order of the matrix's columns.

    Attributes:
        features: The declarations; a slate-relative one stands after the column it ranks.
    """

    features: tuple[Feature, ...]

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [feature.name for feature in self.features]

    @cached_property
    def counters(self) -> tuple[CounterSpec, ...]:
        """The counters the features read, each once, with all windows asked of it."""
        windows: dict[str, set[int]] = {}
        specs: dict[str, CounterSpec] = {}
        for spec in (spec for feature in self.features for spec in feature.needs()):
            specs[spec.name] = spec
            windows.setdefault(spec.name, set()).update(spec.windows)
        return tuple(
            CounterSpec(spec.key, spec.kind, tuple(sorted(windows[name])), spec.sums_price)
            for name, spec in specs.items()
        )

    @cached_property
    def rates(self) -> tuple[tuple[str, str], ...]:
        """Pairs of kinds whose overall rate a feature is drawn to."""
        pairs = {(f.kind, f.per): None for f in self.features if isinstance(f, Rate)}
        return tuple(pairs)

    @property
    def schema_hash(self) -> str:
        """Hash of what the columns mean; a model fits only features of the same hash."""
        text = "\n".join(repr(feature) for feature in self.features)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def matrix(self, reader: Reader) -> np.ndarray:
        """Compute every feature of a reader's rows.

        Returns:
            float32 [n_rows, n_features], NaN where a value is missing.
        """
        done: dict[str, np.ndarray] = {}
        for feature in self.features:
            done[feature.name] = feature.compute(reader, done)
        columns = np.empty((len(reader.rows), len(self.features)), np.float32)
        for place, values in enumerate(done.values()):
            columns[:, place] = values
        return columns


def default_features(
    settings: FeatureSettings, kinds: Sequence[str], *, logged: bool
) -> FeatureSet:
    """Choose the features of a workspace.

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
    chosen: list[Feature] = [
        *(WindowCount((ITEM,), kind, days) for kind in own for days in settings.windows_days),
        *_popularity(settings, weak),
        *(WindowCount((USER,), kind, 90) for kind in own),
        WindowCount((USER,), SESSION, EVER),
        Recency((USER,), weak),
        *_pair(own),
        *_attributes(settings, own),
        Price(),
        PriceAgainstUsual(strong),
        Age(),
        FirstSeen(strong),
        *(
            CoVisitation(how, pool, newest)
            for how in ("session", "user")
            for pool, newest in (("max", 30), ("sum", 30), ("max", 5))
        ),
        LocalTime("hour", settings.timezone),
        LocalTime("weekday", settings.timezone),
        *(Given(name) for name in settings.given),
    ]
    if logged:
        chosen += _from_impressions(settings, own)
    names = [feature.name for feature in chosen]
    ranked = [
        f"item_{weak}_{max(days for days in settings.windows_days if days <= 30)}d"
        if min(settings.windows_days) <= 30
        else f"item_{weak}_{min(settings.windows_days)}d",
        "together_session_sum_30",
        "together_user_sum_30",
        "item_price",
    ]
    return FeatureSet((*chosen, *(SlateRank(name) for name in ranked if name in names)))


def _popularity(settings: FeatureSettings, kind: str) -> list[Feature]:
    windows = sorted(settings.windows_days)
    trend = [Trend((ITEM,), kind, windows[-3], windows[-1])] if len(windows) > 2 else []
    return [*trend, Recency((ITEM,), kind)]


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


def _from_impressions(settings: FeatureSettings, kinds: list[str]) -> list[Feature]:
    weak, strong = kinds[0], kinds[-1]
    smoothing = settings.smoothing
    rates: list[Feature] = [
        Rate((ITEM,), weak, IMPRESSION, 7, smoothing),
        Rate((ITEM,), weak, IMPRESSION, 30, smoothing),
        *(Rate((name,), weak, IMPRESSION, 30, smoothing) for name in settings.attributes),
        Rate((USER,), weak, IMPRESSION, 30, smoothing),
        WindowCount((USER, ITEM), IMPRESSION, 7),
        Recency((USER, ITEM), IMPRESSION),
    ]
    if strong != weak:
        rates.append(Rate((ITEM,), strong, weak, 90, smoothing))
    return rates
