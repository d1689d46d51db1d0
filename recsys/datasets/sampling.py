"""Sampled slates for logs of purchases: bought items among negatives."""

import zlib

import numpy as np
import polars as pl

from data_contracts.events import Impressions, Interactions


def slate_generator(seed: int, request_id: str) -> np.random.Generator:
    """Give the random numbers of one slate, the same whatever other slates are drawn."""
    return np.random.default_rng((seed, zlib.crc32(request_id.encode())))


def draw_uniform(rng: np.random.Generator, choices: np.ndarray, size: int) -> np.ndarray:
    """Draw up to `size` different entries of `choices`, all equally likely."""
    if len(choices) <= size:
        return choices
    return choices[np.argpartition(rng.random(len(choices)), size)[:size]]


def draw_weighted(
    rng: np.random.Generator, choices: np.ndarray, weights: np.ndarray, size: int
) -> np.ndarray:
    """Draw up to `size` different entries one after the other, each by its weight among the rest.

    The `size` largest of log(weight) + Gumbel noise are such a draw: Yellott, The relationship
    between Luce's choice axiom ..., 1977.

    Args:
        rng: Source of the noise.
        choices: [n], what is drawn from.
        weights: [n], not negative; entries of weight 0 are never drawn.
        size: How many to draw.

    Returns:
        [at most size], a part of `choices`.
    """
    possible = weights > 0
    choices, weights = choices[possible], weights[possible]
    if len(choices) <= size:
        return choices
    keys = np.log(weights) + rng.gumbel(size=len(choices))
    return choices[np.argpartition(-keys, size)[:size]]


class SalesWindow:
    """Sales of each item in a sliding window of fixed length.

    Args:
        times: int64 [n_sales], microseconds, ascending.
        items: int [n_sales], number of the item sold.
        n_items: Number of items.
        length: Length of the window, in microseconds.
    """

    def __init__(self, times: np.ndarray, items: np.ndarray, n_items: int, length: int) -> None:
        self._times, self._items, self._length = times, items, length
        self._counts = np.zeros(n_items, dtype=np.int64)
        self._start = self._end = 0

    def before(self, moment: int) -> np.ndarray:
        """Count the sales with `moment - length <= time < moment`.

        Args:
            moment: Microseconds, never earlier than in the call before.

        Returns:
            int64 [n_items]; overwritten by the next call.
        """
        start, end = np.searchsorted(self._times, (moment - self._length, moment), side="left")
        np.add.at(self._counts, self._items[self._end : end], 1)
        np.subtract.at(self._counts, self._items[self._start : start], 1)
        self._start, self._end = start, end
        return self._counts


def as_impressions(
    requests: pl.DataFrame, slates: list[np.ndarray], item_ids: pl.Series
) -> pl.DataFrame:
    """Lay slates out as the rows of the impressions table.

    Args:
        requests: One row a slate: request_id, user_id, session_id and timestamp.
        slates: For each request the numbers of its candidates, in their order.
        item_ids: The item of each number.

    Returns:
        One row a candidate, positions from 1.
    """
    item, position = Impressions.item_id, Impressions.position.name
    shown = [item_ids.gather(slate) for slate in slates]
    return (
        requests.with_columns(pl.Series(item.name, shown, pl.List(item_ids.dtype)))
        .with_columns(pl.int_ranges(1, item.col.list.len() + 1).alias(position))
        .explode(item.name, position)
    )


def with_request(interactions: pl.DataFrame, impressions: pl.DataFrame) -> pl.DataFrame:
    """Give each interaction the request of its session that showed its item, null if none did."""
    keys = [Interactions.session_id.name, Interactions.item_id.name]
    shown = impressions.select(*keys, Interactions.request_id.name)
    return interactions.join(shown, on=keys, how="left", validate="m:1")
