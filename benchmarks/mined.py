"""Negatives mined by similarity: items whose text is nearly that of a positive, but not taken."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from recsys.dataset import LabelledSlates
from recsys.text.sampling import Draw, Sampler
from recsys.text.settings import TextSettings

_AT_ONCE = 1024


class MinedSampler(Sampler):
    """Replaces some negatives of a draw by neighbours of the slate's positives.

    Args:
        slates: Requests with their outcome.
        vectors: Of the items by the frozen encoder, float32 [n_items, dim], rows of length 1; NaN
            rows for items without text.
        gains: Gain of each grade.
        settings: How many are drawn, and how.
        seed: Of the draws.
        share: Of the negatives that are replaced, where the neighbour was not taken in the slate.
        nearest: Neighbours of a positive that one is drawn from.
    """

    def __init__(
        self,
        slates: LabelledSlates,
        vectors: np.ndarray,
        gains: Sequence[float],
        settings: TextSettings,
        seed: int,
        share: float,
        nearest: int,
    ) -> None:
        super().__init__(slates, ~np.isnan(vectors[:, 0]), gains, settings, seed)
        self.share = share
        item, request = slates.rows.item, slates.rows.request
        # What no slate had among its candidates was hardly on sale.
        offered = self.known & (np.bincount(item[item >= 0], minlength=len(vectors)) > 0)
        self.near = neighbours(vectors, offered, nearest)
        self.taken = np.unique(request[self.positive] * len(vectors) + item[self.positive])

    def draw(self, number: int) -> Draw:
        """Draw some slates, as the product does, and put mined negatives into them."""
        draw = super().draw(number)
        requests = self._requests(np.random.default_rng([self.seed, number]))
        random = np.random.default_rng([self.seed, number, 1])
        chosen = random.random(draw.valid.shape) < self.share
        slate, place = np.nonzero(draw.valid & (draw.gain == 0) & chosen)
        count = (draw.gain > 0).sum(axis=1)
        # The positives of a slate come first.
        positive = draw.item[slate, (random.random(len(slate)) * count[slate]).astype(np.int64)]
        found = self.near[positive, random.integers(self.near.shape[1], size=len(slate))]
        kept = (found >= 0) & ~np.isin(requests[slate] * len(self.known) + found, self.taken)
        item = draw.item.copy()
        item[slate[kept], place[kept]] = found[kept]
        return replace(draw, item=item, popularity=self.popularity[item])


def neighbours(vectors: np.ndarray, offered: np.ndarray, count: int) -> np.ndarray:
    """Find the items whose texts are nearest to each item's.

    Args:
        vectors: float32 [n_items, dim], rows of length 1; NaN rows for items without text.
        offered: Which items may be a neighbour, bool [n_items].
        count: Neighbours of each item.

    Returns:
        int64 [n_items, count], in no order; -1 where there are no more, and for items without text.
    """
    known = np.nan_to_num(vectors)
    found = np.full((len(vectors), count), -1, np.int64)
    for low in range(0, len(vectors), _AT_ONCE):
        high = min(low + _AT_ONCE, len(vectors))
        near = known[low:high] @ known.T
        near[:, ~offered] = -np.inf
        near[np.arange(high - low), np.arange(low, high)] = -np.inf
        best = np.argpartition(-near, min(count, near.shape[1] - 1), axis=1)[:, :count]
        there = np.isfinite(np.take_along_axis(near, best, axis=1))
        found[low:high, : best.shape[1]] = np.where(there, best, -1)
    found[np.isnan(vectors[:, 0])] = -1
    return found
