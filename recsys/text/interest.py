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
from typing import NamedTuple

import numpy as np

from features.arrays.clock import DAY
from features.arrays.compiled import compiled
from features.arrays.key_index import grown
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


class Grown:
    """Rows of a fixed array, which may be mapped from a file, and those that came after it.

    Args:
        base: [n, ...], never written to.
    """

    def __init__(self, base: np.ndarray) -> None:
        self.base = base
        self._more = np.empty((0, *base.shape[1:]), base.dtype)
        self._used = 0

    def __len__(self) -> int:
        return len(self.base) + self._used

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Copy some rows, int [n], none negative."""
        if not self._used:
            return self.base[rows]
        found = np.empty((len(rows), *self.base.shape[1:]), self.base.dtype)
        later = rows >= len(self.base)
        found[~later] = self.base[rows[~later]]
        found[later] = self._more[rows[later] - len(self.base)]
        return found

    def append(self, row: np.ndarray) -> int:
        """Add a row; gives its place."""
        self._more = grown(self._more, self._used + 1, 0)
        self._more[self._used] = row
        self._used += 1
        return len(self) - 1

    def all(self) -> np.ndarray:
        """All rows as one array; the base itself when nothing came after it."""
        return self.take(np.arange(len(self))) if self._used else self.base


class Past(NamedTuple):
    """History of one user, as the match reads it.

    Attributes:
        history: The interactions, newest first.
        text: int32 [m], row of each one's text in the table; negative without one.
    """

    history: History
    text: np.ndarray


@dataclass(frozen=True)
class InterestTable:
    """Texts in the space of matches: what a request needs is a look-up.

    The arrays of a bundle are mapped from its file, so that they take no memory of a process's own.

    Attributes:
        items: float32 rows [space] of length 1, of each text.
        past: The same as parts of a history.
        logits: float32, what the attention thinks of each text in a history.
        weights: The head's numbers, float32: `default` [space], `kind` [n_kinds], `recency` [2],
            `scales` [4] (scale, sharp_scale, query_scale, sharpness), the towers `item.weight`
            [space, dim], `item.bias` [space], and so `past` and `query`, and the attention's
            `attend.0.weight`, `attend.0.bias`, `attend.2.weight`, `attend.2.bias`.
    """

    items: "Grown"
    past: "Grown"
    logits: "Grown"
    weights: Mapping[str, np.ndarray]

    @property
    def dim(self) -> int:
        """Length of the encoder's vectors."""
        return int(self.weights["item.weight"].shape[1])

    def project(self, tower: str, vector: np.ndarray) -> np.ndarray:
        """Bring a text vector into the space of matches.

        Args:
            tower: `item` for a candidate's text, `past` for one in a history, `query` for a query.
            vector: float32 [dim], from the encoder.

        Returns:
            float32 [space], of length 1.
        """
        wide = self.weights[f"{tower}.weight"] @ vector + self.weights[f"{tower}.bias"]
        return wide / max(float(np.linalg.norm(wide)), 1e-12)

    def add(self, vector: np.ndarray) -> int:
        """Give a text a row.

        Args:
            vector: float32 [dim], from the encoder.

        Returns:
            The row.
        """
        past, weights = self.project("past", vector), self.weights
        hidden = np.tanh(weights["attend.0.weight"] @ past + weights["attend.0.bias"])
        self.past.append(past)
        self.logits.append((weights["attend.2.weight"] @ hidden + weights["attend.2.bias"])[0])
        return self.items.append(self.project("item", vector))

    def candidates(
        self, text: np.ndarray, inline: Mapping[int, np.ndarray] | None = None
    ) -> np.ndarray:
        """Look candidates up.

        Args:
            text: int32 [n], rows of their texts; negative without one.
            inline: Text vectors of candidates that brought their text, by place among the n.

        Returns:
            float32 [n, space]; NaN rows for candidates without text.
        """
        rows = np.full((len(text), len(self.weights["default"])), np.nan, np.float32)
        there = np.flatnonzero(text >= 0)
        rows[there] = self.items.take(text[there])
        for place, vector in (inline or {}).items():
            rows[place] = self.project("item", vector)
        return rows

    def match(
        self,
        candidates: np.ndarray,
        item: np.ndarray,
        past: Past,
        time: int,
        query: np.ndarray | None,
    ) -> np.ndarray:
        """Score the candidates of one request.

        Args:
            candidates: From `candidates`, float32 [n, space].
            item: int32 [n], codes of their items; negative for unknown items.
            past: History of the request's user.
            time: UTC microseconds of the request.
            query: Text vector of the query, float32 [dim]; None or NaN without one.

        Returns:
            Interest match, float32 [n]; NaN for candidates without text.
        """
        score = candidates @ self.weights["default"]
        distinct, shares = self.by_past_item(candidates, item, past, time)
        if len(distinct):
            score = score + shares.sum(axis=1)
        if query is not None and not np.isnan(query[0]):
            score = score + self.weights["scales"][2] * (candidates @ self.project("query", query))
        return score.astype(np.float32)

    def by_past_item(
        self, candidates: np.ndarray, item: np.ndarray, past: Past, time: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Share the part of the match that the history makes out among the items in it.

        All interactions with one item have the same similarity to a candidate, so that they count
        as one past item with the sum of their weights.

        Args:
            candidates: From `candidates`, float32 [n, space].
            item: int32 [n], codes of their items; negative for unknown items.
            past: History of the request's user.
            time: UTC microseconds of the request.

        Returns:
            Codes of the distinct past items with text, int32 [p], and what each adds to each
            candidate's match, float32 [n, p]; 0 for the candidate's own copies, NaN for candidates
            without text.
        """
        usable = past.text >= 0
        if not usable.any():
            return np.zeros(0, np.int32), np.zeros((len(item), 0), np.float32)
        items, texts = past.history.item[usable], past.text[usable]
        logits = self._attention(texts, past.history, usable, time)
        first, weight, own = _distinct(items, np.exp(logits - logits.max()), item)
        scale, sharp_scale, _, sharpness = self.weights["scales"]
        similarity = candidates @ self.past.take(texts[first]).T
        lean = sharpness * similarity
        copies = np.flatnonzero(own >= 0)
        lean[copies, own[copies]] = HIDDEN
        lean -= lean.max(axis=1, keepdims=True)
        np.exp(lean, out=lean)
        _share_out(similarity, lean, weight, own, scale, sharp_scale)
        return items[first], similarity

    def _attention(
        self, texts: np.ndarray, history: History, usable: np.ndarray, time: int
    ) -> np.ndarray:
        age = ages(history, np.array([time]))[usable]
        kind = self.weights["kind"][history.kind[usable]]
        slope, bend = self.weights["recency"]
        return self.logits.take(texts) + kind + slope * age + bend * np.square(age) / 5


@compiled
def _distinct(
    past: np.ndarray, weight: np.ndarray, item: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Put the interactions with one item together.

    Args:
        past: int32 [k], past items.
        weight: float32 [k].
        item: int32 [n], the candidates.

    Returns:
        The first place of each distinct past item, int32 [p], in order; their weights, float32 [p];
        and which of them each candidate is, int64 [n], -1 for none.
    """
    size = 16
    while size < 2 * len(past):
        size *= 2
    slots = np.full(size, -1, np.int32)
    distinct, summed = np.empty(len(past), np.int32), np.zeros(len(past), np.float32)
    first = np.empty(len(past), np.int32)
    count = 0
    for place in range(len(past)):
        slot = _slot(slots, distinct, past[place])
        if slots[slot] < 0:
            slots[slot] = count
            distinct[count], first[count] = past[place], place
            count += 1
        summed[slots[slot]] += weight[place]
    own = np.empty(len(item), np.int64)
    for row in range(len(item)):
        own[row] = slots[_slot(slots, distinct, item[row])]
    return first[:count], summed[:count], own


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
