"""What one step of fine-tuning looks at: slates, and of each some positives and negatives."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from data_contracts.errors import DataError
from features.history import History
from recsys.dataset import LabelledSlates
from recsys.text.interest import ages
from recsys.text.settings import TextSettings


@dataclass(frozen=True)
class FrozenVectors:
    """What the frozen encoder says of every text.

    Attributes:
        items: float32 [n_items, dim]; NaN rows for items without text.
        queries: float32 [n_queries, dim].
    """

    items: np.ndarray
    queries: np.ndarray


@dataclass(frozen=True)
class Batch:
    """Slates drawn for one step: `b` slates of `m` candidates each.

    Attributes:
        candidates: Text vectors, [b * m, dim].
        item: Places in the catalogue, [b * m].
        gain: [b, m]; 0 for negatives and padding.
        valid: Which candidates are real, bool [b, m].
        past: Text vectors of the histories, [b, k, dim].
        past_item: [b, k]; -1 beyond the end.
        kind: [b, k].
        age: [b, k].
        query: Text vectors of the queries, [b, dim]; 0 without one.
    """

    candidates: Tensor
    item: Tensor
    gain: Tensor
    valid: Tensor
    past: Tensor
    past_item: Tensor
    kind: Tensor
    age: Tensor
    query: Tensor


class Sampler:
    """Draws slates, and of each some positives and negatives."""

    def __init__(
        self,
        slates: LabelledSlates,
        vectors: FrozenVectors,
        gains: Sequence[float],
        settings: TextSettings,
        seed: int,
    ) -> None:
        self.slates, self.settings = slates, settings
        self.random = np.random.default_rng(seed)
        self.known = ~np.isnan(vectors.items[:, 0])
        self.vectors = torch.from_numpy(np.nan_to_num(vectors.items))
        no_query = np.zeros((1, vectors.items.shape[1]), np.float32)
        self.queries = torch.from_numpy(np.vstack([np.nan_to_num(vectors.queries), no_query]))
        rows = slates.rows
        usable = (rows.item >= 0) & self.known[np.maximum(rows.item, 0)]
        gain = np.asarray(gains, np.float32)[slates.grade]
        self.gain = np.where(usable, gain, 0)
        self.positive = usable & (gain > 0)
        self.negative = usable & (gain == 0)
        starts = rows.offsets[:-1]
        both = np.add.reduceat(self.positive, starts) * np.add.reduceat(self.negative, starts)
        self.requests = np.flatnonzero(both > 0)
        if len(self.requests) < settings.batch_slates:
            raise DataError(
                f"{len(self.requests)} slates before the end of the text model's period have "
                "a positive and a negative with text",
                f"at least {settings.batch_slates}",
                "move text_end under [split] later, or lower batch_slates under [text]",
            )

    def draw(self) -> Batch:
        """Draw a batch."""
        settings, rows = self.settings, self.slates.rows
        width = settings.positives + settings.negatives
        requests = self.random.choice(self.requests, settings.batch_slates, replace=False)
        chosen = np.zeros((len(requests), width), np.int64)
        valid = np.zeros((len(requests), width), bool)
        for place, request in enumerate(requests):
            span = np.arange(rows.offsets[request], rows.offsets[request + 1])
            picked = np.concatenate(
                [
                    self._some(span[self.positive[span]], settings.positives),
                    self._some(span[self.negative[span]], settings.negatives),
                ]
            )
            chosen[place, : len(picked)] = picked
            valid[place, : len(picked)] = True
        item = rows.item[chosen]
        past = self._past(requests)
        time = rows.request_time[requests]
        return Batch(
            self.vectors[torch.from_numpy(np.maximum(item, 0).ravel().astype(np.int64))],
            torch.from_numpy(item.ravel().astype(np.int64)),
            torch.from_numpy(np.where(valid, self.gain[chosen], 0)),
            torch.from_numpy(valid),
            self.vectors[torch.from_numpy(np.maximum(past.item, 0).astype(np.int64))],
            torch.from_numpy(past.item.astype(np.int64)),
            torch.from_numpy(past.kind.astype(np.int64)),
            torch.from_numpy(ages(past, time)),
            self.queries[torch.from_numpy(self.slates.query[requests].astype(np.int64))],
        )

    def _past(self, requests: np.ndarray) -> History:
        past = self.slates.history.take(requests)
        silent_items = ~self.known[np.maximum(past.item, 0)]
        return History(np.where(silent_items, -1, past.item), past.kind, past.time)

    def _some(self, rows: np.ndarray, count: int) -> np.ndarray:
        if len(rows) <= count:
            return rows
        return self.random.choice(rows, count, replace=False)
