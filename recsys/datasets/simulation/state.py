"""State of the shop between days: popularity of items, and pairs of users and items they chose."""

from dataclasses import dataclass

import numpy as np

_DAILY_DECAY = 0.95


@dataclass(frozen=True)
class UserItemPairs:
    """Pairs of user and item with a recent event of one kind.

    Attributes:
        keys: int64 [n], sorted.
        last_day: int32 [n], day of the log of the last event.
    """

    keys: np.ndarray
    last_day: np.ndarray

    def after(self, day: int, happened: np.ndarray, remembered_days: int) -> "UserItemPairs":
        """Add the pairs of a day (keys in any order) and drop those of `remembered_days` ago."""
        fresh = np.unique(happened)
        kept = (self.last_day > day - remembered_days) & ~contains(fresh, self.keys)
        keys = self.keys[kept]
        place = np.searchsorted(keys, fresh)
        return UserItemPairs(
            np.insert(keys, place, fresh), np.insert(self.last_day[kept], place, np.int32(day))
        )


@dataclass(frozen=True)
class ShopState:
    """State at the start of a day; it grows with the users, not with the log.

    Attributes:
        clicks: float64 [n_items], clicks so far, older ones counting less.
        clicked: Pairs with a click.
        bought: Pairs with a purchase.
    """

    clicks: np.ndarray
    clicked: UserItemPairs
    bought: UserItemPairs

    def after(
        self, day: int, clicked: np.ndarray, bought: np.ndarray, remembered_days: int
    ) -> "ShopState":
        """Give the state at the start of the next day.

        `clicked` and `bought` are the keys of the day's clicks and purchases, int64 in any order.
        """
        clicks = self.clicks * _DAILY_DECAY
        np.add.at(clicks, items_of(clicked), 1.0)
        return ShopState(
            clicks,
            self.clicked.after(day, clicked, remembered_days),
            self.bought.after(day, bought, remembered_days),
        )


def empty_state(items: int) -> ShopState:
    """Give the state before the first event."""
    nothing = UserItemPairs(np.empty(0, np.int64), np.empty(0, np.int32))
    return ShopState(np.zeros(items), nothing, nothing)


def pair_keys(user: np.ndarray, item: np.ndarray) -> np.ndarray:
    """Give one int64 per pair of user and item; sorting them sorts by user, then item."""
    return (user.astype(np.int64) << 32) | item.astype(np.int64)


def items_of(keys: np.ndarray) -> np.ndarray:
    """Give the item of each key."""
    return keys & 0xFFFFFFFF


def contains(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Check for each wanted key whether the sorted `keys` have it; bool, shape of `wanted`."""
    if len(keys) == 0:
        return np.zeros(wanted.shape, bool)
    place = np.searchsorted(keys, wanted)
    return keys[np.minimum(place, len(keys) - 1)] == wanted
