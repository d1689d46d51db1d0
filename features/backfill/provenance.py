"""Provenance of computed files: hashes of their inputs; equal hashes mean up to date."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from features.counter_spec import CounterSpec
from features.feature_set import FeatureSet
from features.kinds.base import declaration
from features.log.log import Log
from features.settings import FeatureSettings

FORMAT = 3
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
        """Hash of the inputs of every file: items, kinds, and the settings of all features."""
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
        catalogue = {
            "attributes": list(self.log.catalogue.values),
            "numbers": list(self.log.catalogue.numbers),
        }
        parts = [FORMAT, self.log.catalogue_digest, self.log.kinds, settings, catalogue]
        return digest(json.dumps(parts, sort_keys=True))

    @cached_property
    def _chain(self) -> Mapping[int, str]:
        """Hash of the log before each midnight that follows a day with events, by day number."""
        chain, so_far = {}, self.base
        for day, of_day in sorted(self.log.days.items()):
            so_far = digest(so_far, str(day), of_day.digest)
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
        """Hash of the inputs of the state after the log."""
        specs = [repr(spec) for spec in self.features.counters]
        return digest("state", *specs, self.snapshot(self.log.end_day))


def digest(*parts: str) -> str:
    """Hash some texts into 16 hexadecimal digits."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
