"""What computed files depend on, as hashes: while they are equal, no file is made again."""

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

FORMAT = 2
"""Changes when the meaning of features or of the files behind them does."""


@dataclass(frozen=True)
class Provenance:
    """What the files of a backfill depend on.

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
        """What every file depends on: the items, the kinds, and the settings of all features."""
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
        """What was known by each midnight after a day with events, by the day after."""
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
        """Hash what is known before the midnight of a day of the log, or of the one after it."""
        return self._midnights[day - self.log.first_day]

    def rows(self, day: int) -> str:
        """Hash what the rows of a day may depend on, beside their declarations."""
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
        """Hash what a counter's state as of a midnight depends on."""
        return digest("counter", repr(spec), self.before(day))

    def recent(self, day: int) -> str:
        """Hash what the histories as of a midnight depend on."""
        return digest("recent", self.before(day))

    def snapshot(self, day: int) -> str:
        """Hash what the snapshot of a midnight depends on."""
        return digest("snapshot", json.dumps(self.features.rates), self.before(day))

    def state(self) -> str:
        """Hash what the state after the log depends on."""
        specs = [repr(spec) for spec in self.features.counters]
        return digest("state", *specs, self.snapshot(self.log.end_day))


def digest(*parts: str) -> str:
    """Hash some texts into 16 hexadecimal digits."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
