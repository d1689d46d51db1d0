"""Interest match: how well the text of a candidate fits what a user took before.

The candidate's vector z and those of the user's last items h_j give similarities s_j = h_j . z.
Two attentions over the history, one blind to the candidate and one that leans on the similar
items, weigh them; a default profile speaks for users without history, and the query for itself:

    match = scale * sum_j a_j s_j + sharp_scale * sum_j b_j s_j + default . z + query . z
    a_j = softmax_j(v . tanh(A h_j) + kind_j + recency_j)
    b_j = softmax_j(v . tanh(A h_j) + kind_j + recency_j + sharpness * s_j)

The candidate's own copies in the history are left out: having bought an item before is for the
behavioural features to judge. `head` trains the numbers; here they are only looked up, in numpy,
so that a ranking process needs neither torch nor the encoder.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from features.arrays.clock import DAY
from features.arrays.compiled import compiled
from features.log.history import History

HIDDEN = np.float32(-1e4)
"""Logit of a past item that must not count."""

SCALES = ("scale", "sharp_scale", "query_scale", "sharpness")
"""The head's numbers that a table keeps in one array, in this order."""

_LEAST = np.float32(1e-30)


def ages(history: History, time: np.ndarray) -> np.ndarray:
    """Give the age of each past interaction at its request.

    Args:
        history: Of the users of the requests.
        time: int64 [n], UTC microseconds of the requests.

    Returns:
        log(1 + days), float32 [m].
    """
    days = np.maximum((np.repeat(time, history.lengths) - history.time) / DAY, 0)
    return np.log1p(days).astype(np.float32)


@dataclass(frozen=True)
class InterestTable:
    """The catalogue in the space of matches: what a request needs is a look-up.

    The arrays of a bundle are mapped from its file, so that they take no memory of a process's own.

    Attributes:
        items: float32 [n_items, space], rows of length 1; NaN rows for items without text.
        past: float32 [n_items, space], the same as parts of a history; 0 rows without text.
        logits: float32 [n_items], what the attention thinks of an item in a history; NaN for items
            without text.
        weights: The head's other numbers, float32: `default` [space], `kind` [n_kinds], `recency`
            [2], `scales` [4] (scale, sharp_scale, query_scale, sharpness), and the towers
            `item.weight` [space, dim], `item.bias` [space], `query.weight`, `query.bias`.
    """

    items: np.ndarray
    past: np.ndarray
    logits: np.ndarray
    weights: Mapping[str, np.ndarray]

    @property
    def dim(self) -> int:
        """Length of the encoder's vectors."""
        return int(self.weights["item.weight"].shape[1])

    @cached_property
    def known(self) -> np.ndarray:
        """Whether an item has text, bool [n_items]."""
        # Not from `items`: looking at each of its rows would read all of a mapped file.
        return ~np.isnan(self.logits)

    def project(self, tower: str, vector: np.ndarray) -> np.ndarray:
        """Bring a text vector into the space of matches.

        Args:
            tower: `item` for a candidate's text, `query` for a query.
            vector: float32 [dim], from the encoder.

        Returns:
            float32 [space], of length 1.
        """
        wide = self.weights[f"{tower}.weight"] @ vector + self.weights[f"{tower}.bias"]
        return wide / max(float(np.linalg.norm(wide)), 1e-12)

    def candidates(
        self, item: np.ndarray, inline: Mapping[int, np.ndarray] | None = None
    ) -> np.ndarray:
        """Look candidates up.

        Args:
            item: int32 [n], places in the catalogue; negative for unknown items.
            inline: Text vectors of candidates that brought their text, by place among the n.

        Returns:
            float32 [n, space]; NaN rows for candidates without text.
        """
        rows = self.items[item]
        rows[item < 0] = np.nan
        for place, vector in (inline or {}).items():
            rows[place] = self.project("item", vector)
        return rows

    def match(
        self,
        candidates: np.ndarray,
        item: np.ndarray,
        history: History,
        time: int,
        query: np.ndarray | None,
    ) -> np.ndarray:
        """Score the candidates of one request.

        Args:
            candidates: From `candidates`, float32 [n, space].
            item: int32 [n], places in the catalogue; negative for unknown items.
            history: Of the request's user.
            time: UTC microseconds of the request.
            query: Text vector of the query, float32 [dim]; None or NaN without one.

        Returns:
            Interest match, float32 [n]; NaN for candidates without text.
        """
        score = candidates @ self.weights["default"]
        past, shares = self.by_past_item(candidates, item, history, time)
        if len(past):
            score = score + shares.sum(axis=1)
        if query is not None and not np.isnan(query[0]):
            score = score + self.weights["scales"][2] * (candidates @ self.project("query", query))
        return score.astype(np.float32)

    def by_past_item(
        self, candidates: np.ndarray, item: np.ndarray, history: History, time: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Share the part of the match that the history makes out among the items in it.

        All interactions with one item have the same similarity to a candidate, so that they count
        as one past item with the sum of their weights.

        Args:
            candidates: From `candidates`, float32 [n, space].
            item: int32 [n], places in the catalogue; negative for unknown items.
            history: Of the request's user.
            time: UTC microseconds of the request.

        Returns:
            Places of the distinct past items with text, int32 [p], and what each adds to each
            candidate's match, float32 [n, p]; 0 for the candidate's own copies, NaN for candidates
            without text.
        """
        past = history.item
        usable = self.known[past]
        if not usable.any():
            return np.zeros(0, np.int32), np.zeros((len(item), 0), np.float32)
        places = past[usable]
        logits = self._attention(places, history, usable, time)
        distinct, weight, own = _distinct(places, np.exp(logits - logits.max()), item)
        scale, sharp_scale, _, sharpness = self.weights["scales"]
        similarity = candidates @ self.past[distinct].T
        lean = sharpness * similarity
        copies = np.flatnonzero(own >= 0)
        lean[copies, own[copies]] = HIDDEN
        lean -= lean.max(axis=1, keepdims=True)
        np.exp(lean, out=lean)
        _share_out(similarity, lean, weight, own, scale, sharp_scale)
        return distinct, similarity

    def _attention(
        self, places: np.ndarray, history: History, usable: np.ndarray, time: int
    ) -> np.ndarray:
        age = ages(history, np.array([time]))[usable]
        kind = self.weights["kind"][history.kind[usable]]
        slope, bend = self.weights["recency"]
        return self.logits[places] + kind + slope * age + bend * np.square(age) / 5


@compiled
def _distinct(
    past: np.ndarray, weight: np.ndarray, item: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Put the interactions with one item together.

    Args:
        past: int32 [k], places of past items.
        weight: float32 [k].
        item: int32 [n], the candidates.

    Returns:
        The distinct past items in the order of their first place, int32 [p]; their weights, float32
        [p]; and which of them each candidate is, int64 [n], -1 for none.
    """
    size = 16
    while size < 2 * len(past):
        size *= 2
    slots = np.full(size, -1, np.int32)
    distinct, summed = np.empty(len(past), np.int32), np.zeros(len(past), np.float32)
    count = 0
    for place in range(len(past)):
        slot = _slot(slots, distinct, past[place])
        if slots[slot] < 0:
            slots[slot] = count
            distinct[count] = past[place]
            count += 1
        summed[slots[slot]] += weight[place]
    own = np.empty(len(item), np.int64)
    for row in range(len(item)):
        own[row] = slots[_slot(slots, distinct, item[row])]
    return distinct[:count], summed[:count], own


@compiled
def _slot(slots: np.ndarray, distinct: np.ndarray, item: int) -> int:
    """Give the slot that points to an item, or the empty one where the search for it ends."""
    slot = (item * 40503) & (len(slots) - 1)
    while slots[slot] >= 0 and distinct[slots[slot]] != item:
        slot = (slot + 1) & (len(slots) - 1)
    return slot


@compiled
def _share_out(
    similarity: np.ndarray,
    sharp: np.ndarray,
    weight: np.ndarray,
    own: np.ndarray,
    scale: np.float32,
    sharp_scale: np.float32,
) -> None:
    """Turn similarities, float32 [n, p], into shares of the match, in their place.

    `sharp`, float32 [n, p], is how much more the sharp attention sees in each, 0 for own copies;
    `weight`, float32 [p], the blind attention, not yet scaled to a sum of 1; `own`, int64 [n], the
    candidate's own copy, -1 for none.
    """
    for row in range(len(similarity)):
        blind_sum, sharp_sum = np.float32(0), np.float32(0)
        for place in range(len(weight)):
            blind_sum += weight[place] if place != own[row] else np.float32(0)
            sharp_sum += weight[place] * sharp[row, place]
        blind_part = scale / max(blind_sum, _LEAST)
        sharp_part = sharp_scale / max(sharp_sum, _LEAST)
        for place in range(len(weight)):
            seen = weight[place] * (blind_part + sharp_part * sharp[row, place])
            similarity[row, place] *= seen if place != own[row] else np.float32(0)
