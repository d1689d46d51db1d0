"""Provenance of computed files: hashes of their inputs; equal hashes mean up to date."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from features.counter_spec import CounterSpec
from features.feature_set import FeatureSet
from features.kinds.base import declaration
from features.log.item_columns import TEXT
from features.log.log import Log
from features.settings import FeatureSettings

FORMAT = 5
"""Changes when the meaning of features or of the files behind them does."""


@dataclass(frozen=True)
class Provenance:
    """Inputs of the files of a backfill, as hashes.

    Attributes:
        log: The log.
        features: What is to be computed.
        settings: Cadence of snapshots and length of memories.
    """

    log: Log
    features: FeatureSet
    settings: FeatureSettings

    @cached_property
    def base(self) -> str:
        """Hash of the inputs of every file: kinds, window, settings, items known at first."""
        settings = self.settings.model_dump(
            include={
                "history",
                "forget_days",
                "late_days",
                "snapshot_days",
                "snapshot_window_days",
                "neighbours",
            }
        )
        known = [h for day, h in self.log.version_digests.items() if day < self.log.first_day]
        catalogue = self.log.catalogue
        columns = sorted({*catalogue.values, *catalogue.numbers} - {TEXT})
        parts = [FORMAT, known, self.log.kinds, self.log.window, settings, columns]
        return digest(json.dumps(parts, sort_keys=True))

    @cached_property
    def _chain(self) -> Mapping[int, str]:
        """Hash of the log before each midnight that follows a day with events, by day number.

        Versions of items that became known on a day are part of it as events are.
        """
        chain, so_far = {}, self.base
        versions, events = self.log.version_digests, self.log.days
        first, end = self.log.first_day, self.log.end_day
        for day in sorted({*events, *(day for day in versions if first <= day < end)}):
            happened = events[day].digest if day in events else ""
            so_far = digest(so_far, str(day), happened, versions.get(day, ""))
            chain[day + 1] = so_far
        return chain

    @cached_property
    def _midnights(self) -> list[str]:
        """The hash by midnight, from that of the first day to the one after the last."""
        hashes, so_far = [], self.base
        for day in range(self.log.first_day, self.log.end_day + 1):
            so_far = self._chain.get(day, so_far)
            hashes.append(so_far)
        return hashes

    def before(self, day: int) -> str:
        """Hash of the log before the midnight of one of its days, or of the day after the last."""
        return self._midnights[day - self.log.first_day]

    def rows(self, day: int) -> str:
        """Hash of the inputs of a day's rows, without their declarations."""
        return digest("rows", self.before(day + 1))

    @cached_property
    def columns(self) -> dict[str, str]:
        """Hash of each column's declaration and of those it looks at, by name, in order."""
        hashes: dict[str, str] = {}
        for feature in self.features.features:
            behind = hashes[feature.after] if feature.after is not None else ""
            hashes[feature.name] = digest(json.dumps(declaration(feature)), behind)
        return hashes

    def counter(self, spec: CounterSpec, day: int) -> str:
        """Hash of the inputs of a counter's state at a midnight."""
        return digest("counter", repr(spec), self.before(day))

    def recent(self, day: int) -> str:
        """Hash of the inputs of the histories at a midnight."""
        return digest("recent", self.before(day))

    def snapshot(self, day: int) -> str:
        """Hash of the inputs of the snapshot of a midnight."""
        return digest("snapshot", json.dumps(self.features.rates), self.before(day))

    def state(self) -> str:
        """Hash of the inputs of the state after the log, with versions still to come."""
        specs = [repr(spec) for spec in self.features.counters]
        later = [h for day, h in self.log.version_digests.items() if day >= self.log.end_day]
        texts = self.log.catalogue.attributes.get(TEXT, np.zeros(0, np.int32))
        keys = hashlib.sha256("\0".join(self.log.catalogue.values.get(TEXT, ())).encode())
        keys.update(texts.tobytes())
        parts = (*specs, self.snapshot(self.log.end_day), *later, keys.hexdigest())
        return digest("state", *parts)


def digest(*parts: str) -> str:
    """Hash some texts into 16 hexadecimal digits."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
