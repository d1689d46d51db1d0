"""A feature set: the ordered columns of a matrix."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from features.counter_spec import CounterSpec
from features.kinds.base import Feature, declaration
from features.reader import Reader

Part = TypeVar("Part")


@dataclass(frozen=True)
class FeatureSet:
    """Declared features in the order of the matrix's columns.

    Attributes:
        features: The declarations; a slate-relative one comes after its column.

    Raises:
        ValueError: Two features, or two counters that they read, would have one name.
    """

    features: tuple[Feature, ...]

    def __post_init__(self) -> None:
        columns = ((feature.name, feature) for feature in self.features)
        counters = (
            (spec.name, (*spec.key, spec.kind, spec.measure))
            for feature in self.features
            for spec in feature.needs()
        )
        for what, named in (("column", columns), ("counter", counters)):
            known: dict[str, object] = {}
            for name, meaning in named:
                if known.setdefault(name, meaning) != meaning:
                    message = f"two different {what}s {name}: {known[name]} and {meaning}"
                    raise ValueError(message)

    @cached_property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [feature.name for feature in self.features]

    @cached_property
    def counters(self) -> tuple[CounterSpec, ...]:
        """The counters that features read, each once, with all its windows."""
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

    @cached_property
    def valued_columns(self) -> tuple[str, ...]:
        """Columns of items whose values have codes: texts, and lists of texts."""
        return (*self.attributes, *self._all(lambda feature: feature.lists()))

    @property
    def item_columns(self) -> tuple[str, ...]:
        """Columns of items that are read in any way."""
        return (*self.valued_columns, *self.numbers)

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

    @cached_property
    def coded(self) -> dict[str, str]:
        """Columns whose values are codes of a column of items, with the name of that."""
        return {f.name: f.coded for f in self.features if f.coded is not None}

    @property
    def schema_hash(self) -> str:
        """Hash of the declarations; a model fits only features of the same hash."""
        text = json.dumps([declaration(feature) for feature in self.features])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def with_more(self, features: Iterable[Feature]) -> "FeatureSet":
        """Add the features that are not there yet, after those that are."""
        return FeatureSet(tuple(dict.fromkeys((*self.features, *features))))

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
