"""Sampling of training batches: slates, and some positives and negatives of each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data_contracts.errors import DataError
from recsys.labels.slates import LabelledSlates
from recsys.labels.supply import Supply, usable_slates
from recsys.text.interest import ages
from recsys.text.settings import BATCH_SLATES, TextSettings


@dataclass(frozen=True)
class Draw:
    """Slates drawn for one step: `b` slates of up to `m` candidates each.

    Attributes:
        item: int64 [b, m], codes; any where not valid.
        text: int64 [b, m], codes of their texts; any where not valid.
        gain: float32 [b, m]; 0 for negatives and padding.
        valid: bool [b, m], which candidates are real.
        popularity: float32 [b, m], log of the item's share of all positives, by showings.
        past_item: int64 [b, k]; -1 beyond the end and for items without text.
        past_text: int64 [b, k]; the same.
        kind: int64 [b, k].
        age: float32 [b, k], log(1 + days).
        query: int64 [b], place among the queries; -1 without one.
    """

    item: np.ndarray
    text: np.ndarray
    gain: np.ndarray
    valid: np.ndarray
    popularity: np.ndarray
    past_item: np.ndarray
    past_text: np.ndarray
    kind: np.ndarray
    age: np.ndarray
    query: np.ndarray


class Sampler:
    """Draws slates, and of each some positives and negatives.

    Slates of different weights are drawn in proportion, with replacement: a slate of weight k comes
    as often as k copies of it would, among the items of other slates too. Weights in the loss would
    be cut by the limit on its gradient, and leave those items as if every slate were shown once.

    Args:
        slates: Requests with their outcome.
        gains: Gain of each grade.
        settings: How many are drawn, and how.
        seed: What is drawn at a step depends on the seed and the step alone.

    Raises:
        DataError: Fewer slates than a draw takes have a positive and a negative with text.
    """

    def __init__(
        self,
        slates: LabelledSlates,
        gains: Sequence[float],
        settings: TextSettings,
        seed: int,
    ) -> None:
        self.slates, self.settings, self.seed = slates, settings, seed
        rows, usable = slates.rows, slates.text >= 0
        gain = np.asarray(gains, np.float32)[slates.grade]
        self.gain = np.where(usable, gain, 0)
        self.positive = usable & (gain > 0)
        self.negative = usable & (gain == 0)
        self.requests = np.flatnonzero(usable_slates(rows.offsets, gain, usable))
        lack = Supply.of(rows.offsets, gain, usable).lack(settings.batch_slates, BATCH_SLATES)
        if lack is not None:
            raise DataError(
                f"in the text model's period: {lack.found}",
                f"a positive and a negative with text in at least {settings.batch_slates} slates",
                lack.advice,
            )
        weight = slates.request_weight[self.requests]
        self.shares = weight / weight.sum() if (weight != weight[0]).any() else None
        count, positive = int(rows.item.max(initial=0)) + 1, self.positive
        taken = 1 + np.bincount(rows.item[positive], slates.weight[positive], minlength=count)
        self.popularity = np.log(taken / taken.sum()).astype(np.float32)

    def draw(self, number: int) -> Draw:
        """Draw some slates.

        Args:
            number: Which draw of the training, from 0; the same one is always the same.

        Returns:
            The slates and what was drawn of each.
        """
        random = np.random.default_rng([self.seed, number])
        again, count = self.shares is not None, self.settings.batch_slates
        requests = random.choice(self.requests, count, replace=again, p=self.shares)
        rows = self.slates.rows
        chosen, valid = self._candidates(requests, random)
        past = self.slates.history.take(requests)
        width = max(int(past.lengths.max()), 1)
        text = self.slates.history.values_of(self.slates.past_text, requests)
        past_text = past.padded(text, width)
        past_item = np.where(past_text < 0, -1, past.padded(past.item, width))
        age = past.padded(ages(past, rows.request_time[requests]), width)
        item = np.where(valid, rows.item[chosen], 0).astype(np.int64)
        return Draw(
            item,
            np.where(valid, self.slates.text[chosen], 0).astype(np.int64),
            np.where(valid, self.gain[chosen], 0),
            valid,
            self.popularity[item],
            past_item.astype(np.int64),
            past_text.astype(np.int64),
            past.padded(past.kind, width).astype(np.int64),
            np.where(past_item < 0, np.float32(0), age),
            self.slates.query[requests].astype(np.int64),
        )

    def _candidates(
        self, requests: np.ndarray, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw rows of each slate, positives first: rows and which are real, both [b, m].

        Adding Gumbel noise to log weights and keeping the largest draws without replacement in
        proportion to the weights (Efraimidis and Spirakis, 2006).
        """
        settings, offsets = self.settings, self.slates.rows.offsets
        width = settings.positives + settings.negatives
        sizes = offsets[requests + 1] - offsets[requests]
        slate = np.repeat(np.arange(len(requests)), sizes)
        row = np.arange(sizes.sum()) + np.repeat(
            offsets[requests] - np.cumsum(sizes) + sizes, sizes
        )
        usable = self.positive[row] | self.negative[row]
        slate, row = slate[usable], row[usable]
        negative = self.negative[row]
        weight = settings.negative_popularity * self.popularity[self.slates.rows.item[row]]
        key = random.gumbel(size=len(row)) + np.where(negative, weight, 0)
        order = np.lexsort((-key, negative, slate))
        slate, row, negative = slate[order], row[order], negative[order]
        limit = np.where(negative, settings.negatives, settings.positives)
        kept = _rank_in_run(2 * slate + negative) < limit
        slate, row = slate[kept], row[kept]
        chosen = np.zeros((len(requests), width), np.int64)
        valid = np.zeros((len(requests), width), bool)
        place = _rank_in_run(slate)
        chosen[slate, place], valid[slate, place] = row, True
        return chosen, valid


def _rank_in_run(group: np.ndarray) -> np.ndarray:
    """Number the members of each run of equal values from 0, int64 [n]."""
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    return np.arange(len(group)) - np.repeat(starts, np.diff(np.append(starts, len(group))))
