"""Declaration of a counter: key, kind of event, windows, measure."""

from dataclasses import dataclass
from typing import Literal

from data_contracts.names import file_part

ITEM, USER = "item", "user"
"""Parts of keys; the others are names of item attributes."""


EVER = 0
"""The window without a beginning."""


Measure = Literal["events", "log_price", "priced", "value"]
"""Quantity summed: events, their log(1 + price), those of items with a price, or their values."""


@dataclass(frozen=True)
class CounterSpec:
    """A counter: whose events of which kind, in which windows.

    Attributes:
        key: Parts of the key: `item`, `user`, or the name of an item attribute.
        kind: The kind of event.
        windows: Lengths in days, `EVER` for all time.
        measure: The quantity summed.
    """

    key: tuple[str, ...]
    kind: str
    windows: tuple[int, ...]
    measure: Measure = "events"

    @property
    def name(self) -> str:
        """Identifier in files."""
        of = "" if self.measure == "events" else f".{self.measure}"
        return file_part(f"{'_'.join(self.key)}.{self.kind}{of}")
