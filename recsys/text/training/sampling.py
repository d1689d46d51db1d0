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
        item: int64 [b, m], places in the catalogue; any where not valid.
        gain: float32 [b, m]; 0 for negatives and padding.
        valid: bool [b, m], which candidates are real.
        popularity: float32 [b, m], log of the item's share of all positives.
        past_item: int64 [b, k]; -1 beyond the end and for items without text.
        kind: int64 [b, k].
        age: float32 [b, k], log(1 + days).
        query: int64 [b], place among the queries; -1 without one.
    """

    item: np.ndarray
    gain: np.ndarray
    valid: np.ndarray
    popularity: np.ndarray
    past_item: np.ndarray
    kind: np.ndarray
    age: np.ndarray
    query: np.ndarray


class Sampler:
    """Draws slates, and of each some positives and negatives.

    Args:
        slates: Requests with their outcome.
        known: Which items have text, bool [n_items].
        gains: Gain of each grade.
        settings: How many are drawn, and how.
        seed: What is drawn at a step depends on the seed and the step alone.

    Raises:
        DataError: Fewer slates than a draw takes have a positive and a negative with text.
    """

    def __init__(
        self,
        slates: LabelledSlates,
        known: np.ndarray,
        gains: Sequence[float],
        settings: TextSettings,
        seed: int,
    ) -> None:
        self.slates, self.known, self.settings, self.seed = slates, known, settings, seed
        rows = slates.rows
        usable = (rows.item >= 0) & known[np.maximum(rows.item, 0)]
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
        taken = 1 + np.bincount(rows.item[self.positive], minlength=len(known))
        self.popularity = np.log(taken / taken.sum()).astype(np.float32)

    def draw(self, number: int) -> Draw:
        """Draw some slates.

        Args:
            number: Which draw of the training, from 0; the same one is always the same.

        Returns:
            The slates and what was drawn of each.
        """
        random = np.random.default_rng([self.seed, number])
        requests = random.choice(self.requests, self.settings.batch_slates, replace=False)
        rows = self.slates.rows
        chosen, valid = self._candidates(requests, random)
        past = self.slates.history.take(requests)
        width = max(int(past.lengths.max()), 1)
        past_item = past.padded(np.where(self.known[past.item], past.item, -1), width)
        age = past.padded(ages(past, rows.request_time[requests]), width)
        item = np.where(valid, rows.item[chosen], 0).astype(np.int64)
        return Draw(
            item,
            np.where(valid, self.gain[chosen], 0),
            valid,
            self.popularity[item],
            past_item.astype(np.int64),
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
