"""The features of a workspace, as one ordered set, and the default choice."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeVar

import numpy as np

from features.counters import EVER, ITEM, USER, CounterSpec
from features.kinds.affinity import Affinity, PriceAgainstUsual
from features.kinds.base import Feature, declaration
from features.kinds.context import Given, LocalTime
from features.kinds.counts import FirstSeen, Rate, Recency, Trend, WindowCount
from features.kinds.item_facts import Age, Price
from features.kinds.repeats import ItemRepeat, RepeatShare, Rhythm
from features.kinds.slate import SlatePercentile
from features.kinds.together import CoVisitation
from features.log import IMPRESSION, SESSION
from features.reader import Reader
from features.settings import FeatureSettings

Part = TypeVar("Part")


@dataclass(frozen=True)
class FeatureSet:
    """Declared features in the order of the matrix's columns.

    Attributes:
        features: The declarations; a slate-relative one stands after the column it looks at.
    """

    features: tuple[Feature, ...]

    @cached_property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [feature.name for feature in self.features]

    @cached_property
    def counters(self) -> tuple[CounterSpec, ...]:
        """The counters the features read, each once, with all windows asked of it."""
        windows: dict[str, set[int]] = {}
        specs: dict[str, CounterSpec] = {}
        for spec in self._all(lambda feature: feature.needs()):
            specs[spec.name] = spec
            windows.setdefault(spec.name, set()).update(spec.windows)
        return tuple(
            CounterSpec(spec.key, spec.kind, tuple(sorted(windows[name])), spec.measure)
            for name, spec in specs.items()
        )

    @cached_property
    def rates(self) -> tuple[tuple[str, str], ...]:
        """Pairs of kinds whose overall rate a feature is drawn to."""
        return self._all(lambda feature: feature.rates())

    @cached_property
    def reads_snapshot(self) -> bool:
        """Whether any feature reads a snapshot."""
        return any(feature.reads_snapshot() for feature in self.features)

    @cached_property
    def attributes(self) -> tuple[str, ...]:
        """Columns of items that are read as values of their own."""
        return self._all(lambda feature: feature.attributes())

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """Columns of items that are read as numbers."""
        return self._all(lambda feature: feature.numbers())

    @property
    def item_columns(self) -> tuple[str, ...]:
        """Columns of items that are read in any way."""
        return (*self.attributes, *self.numbers, *self._all(lambda feature: feature.lists()))

    @cached_property
    def given(self) -> tuple[str, ...]:
        """Caller-supplied numbers that are read."""
        return self._all(lambda feature: feature.given())

    @cached_property
    def context(self) -> tuple[str, ...]:
        """Keys of the request's context whose words are read."""
        return self._all(lambda feature: feature.context())

    @cached_property
    def codes(self) -> tuple[str, ...]:
        """Names of the columns whose values are codes without order."""
        return tuple(f.name for f in self.features if f.describe().is_code)

    @property
    def schema_hash(self) -> str:
        """Hash of the declarations; a model fits only features of the same hash."""
        text = json.dumps([declaration(feature) for feature in self.features])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def with_more(self, features: Iterable[Feature]) -> "FeatureSet":
        """Add the features that are not there yet, after those that are."""
        return FeatureSet((*self.features, *(f for f in features if f.name not in self.names)))

    def matrix(self, reader: Reader) -> np.ndarray:
        """Compute every feature of a reader's rows.

        Args:
            reader: What is known of the rows.

        Returns:
            float32 [n_rows, n_features], NaN where a value is missing.
        """
        columns = np.empty((len(self.features), len(reader.rows)), np.float32)
        done: dict[str, np.ndarray] = {}
        for place, feature in enumerate(self.features):
            columns[place] = done[self.names[place]] = feature.compute(reader, done)
        return np.ascontiguousarray(columns.T)

    def columns(self, reader: Reader) -> dict[str, np.ndarray]:
        """Compute every feature of a reader's rows, column by column.

        Args:
            reader: What is known of the rows.

        Returns:
            float32 [n_rows] by name, in order, NaN where a value is missing.
        """
        done: dict[str, np.ndarray] = {}
        columns: dict[str, np.ndarray] = {}
        for name, feature in zip(self.names, self.features, strict=True):
            done[name] = feature.compute(reader, done)
            columns[name] = done[name].astype(np.float32)
        return columns

    def subset(self, names: Collection[str]) -> "FeatureSet":
        """Keep some features and those they look at, in order."""
        kept = set(names)
        for feature in reversed(self.features):
            if feature.name in kept and feature.after is not None:
                kept.add(feature.after)
        return FeatureSet(tuple(feature for feature in self.features if feature.name in kept))

    def _all(self, of: Callable[[Feature], list[Part]]) -> tuple[Part, ...]:
        return tuple(dict.fromkeys(part for feature in self.features for part in of(feature)))


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
