"""What a shop remembers from one day to the next: popularity, and who clicked and bought what."""

from dataclasses import dataclass

import numpy as np

from recsys.simulate.catalogue import Catalogue

_DAILY_DECAY = 0.95
_FAME_CLICKS = 1.0


@dataclass(frozen=True)
class Memory:
    """The state at the start of a day.

    Attributes:
        clicks: float64 [n_items], clicks so far, older ones counting less.
        clicked: int64 [n], sorted keys of (user, item) with a click.
        bought: int64 [n], sorted keys of (user, item) with a purchase.
    """

    clicks: np.ndarray
    clicked: np.ndarray
    bought: np.ndarray

    def popularity(self, catalogue: Catalogue, listed: int) -> np.ndarray:
        """Give the weight of each of the first `listed` items among the popular; float64."""
        return self.clicks[:listed] + _FAME_CLICKS * catalogue.fame[:listed]

    def after(self, clicked: np.ndarray, bought: np.ndarray) -> "Memory":
        """Give the state after a day with these clicks and purchases (keys, any order)."""
        clicks = self.clicks * _DAILY_DECAY
        np.add.at(clicks, items_of(clicked), 1.0)
        return Memory(clicks, np.union1d(self.clicked, clicked), np.union1d(self.bought, bought))


def blank(items: int) -> Memory:
    """Give the state before anything happened."""
    nothing = np.empty(0, np.int64)
    return Memory(np.zeros(items), nothing, nothing)


def pair_keys(user: np.ndarray, item: np.ndarray) -> np.ndarray:
    """Give one int64 per pair of user and item; sorting them sorts by user, then item."""
    return (user.astype(np.int64) << 32) | item.astype(np.int64)


def items_of(keys: np.ndarray) -> np.ndarray:
    """Give the item of each key."""
    return keys & 0xFFFFFFFF


def contains(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Tell for each wanted key whether it is among the sorted `keys`; bool, wanted's shape."""
    if len(keys) == 0:
        return np.zeros(wanted.shape, bool)
    place = np.searchsorted(keys, wanted)
    return keys[np.minimum(place, len(keys) - 1)] == wanted
