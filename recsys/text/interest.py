"""Interest match: how well the text of a candidate fits what a user took before.

The candidate's vector z and those of the user's last items h_j give similarities s_j = h_j . z.
Two attentions over the history, one blind to the candidate and one that leans on the similar
items, weigh them; a default profile speaks for users without history, and the query for itself:

    match = scale * sum_j a_j s_j + sharp_scale * sum_j b_j s_j + default . z + query . z
    a_j = softmax_j(v . tanh(A h_j) + kind_j + recency_j)
    b_j = softmax_j(v . tanh(A h_j) + kind_j + recency_j + s_j / temperature)

The candidate's own copies in the history are left out: having bought an item before is for the
behavioural features to judge.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from features.clock import DAY
from features.history import History

_ATTENTION = 64
_CHUNK_ROWS = 4_000_000


class InterestModel(nn.Module):
    """The head on frozen text vectors.

    Args:
        dim: Length of a text vector.
        kinds: Number of kinds of interaction.
        dropout: Share of vector entries dropped in training.
    """

    def __init__(self, dim: int, kinds: int, dropout: float) -> None:
        super().__init__()
        self.dim, self.kinds = dim, kinds
        self.item = _identity(dim)
        self.past = _identity(dim)
        self.query = _identity(dim)
        self.attend = nn.Sequential(nn.Linear(dim, _ATTENTION), nn.Tanh(), nn.Linear(_ATTENTION, 1))
        self.kind = nn.Parameter(torch.zeros(kinds))
        self.recency = nn.Parameter(torch.zeros(2))
        self.default = nn.Parameter(torch.zeros(dim))
        self.scale = nn.Parameter(torch.tensor(5.0))
        self.sharp_scale = nn.Parameter(torch.tensor(5.0))
        self.query_scale = nn.Parameter(torch.tensor(5.0))
        self.sharpness = nn.Parameter(torch.tensor(10.0))
        self.dropout = nn.Dropout(dropout)

    def tower(self, which: nn.Linear, vectors: Tensor) -> Tensor:
        """Bring text vectors into the space of matches, [..., dim], rows of length 1."""
        return nn.functional.normalize(which(self.dropout(vectors)), dim=-1)

    def attention(self, past: Tensor, kind: Tensor, age: Tensor) -> Tensor:
        """Give the logit of each past item.

        Args:
            past: Past items in the space of matches, [..., k, dim].
            kind: Place of the interaction's kind, int64 [..., k]; clipped at 0.
            age: log(1 + days) since the interaction, [..., k].

        Returns:
            Logits, [..., k].
        """
        recency = self.recency[0] * age + self.recency[1] * age.square() / 5
        return self.attend(past).squeeze(-1) + self.kind[kind.clamp(min=0)] + recency

    def pool(self, similarity: Tensor, logits: Tensor, mask: Tensor) -> Tensor:
        """Weigh the similarities of a candidate to the history.

        Args:
            similarity: s_j, [..., n, k].
            logits: Of the attention, [..., 1, k] or like similarity.
            mask: Which past items count, bool [..., n, k].

        Returns:
            Scaled sum of both attentions, [..., n]; 0 where no past item counts.
        """
        hidden = ~mask
        some = mask.any(-1, keepdim=True)
        broad = logits.expand_as(similarity).masked_fill(hidden, -1e4)
        sharp = broad + self.sharpness * similarity
        zero = torch.zeros((), dtype=similarity.dtype)
        even = torch.where(some, broad.softmax(-1) * similarity, zero).sum(-1)
        peaked = torch.where(some, sharp.softmax(-1) * similarity, zero).sum(-1)
        return self.scale * even + self.sharp_scale * peaked


def _identity(dim: int) -> nn.Linear:
    layer = nn.Linear(dim, dim)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(dim))
        layer.bias.zero_()
    return layer


def ages(history: History, time: np.ndarray) -> np.ndarray:
    """Give log(1 + days) from each past interaction to the request, float32 [n, k]."""
    days = np.maximum((time[:, None] - history.time) / DAY, 0)
    return np.where(history.item < 0, 0, np.log1p(days)).astype(np.float32)


@dataclass(frozen=True)
class InterestTable:
    """The catalogue in the space of matches: what a request needs is a look-up.

    Attributes:
        model: The head.
        items: float32 [n_items, dim]; NaN rows for items without text.
        past: float32 [n_items, dim]; 0 rows for items without text.
        logits: float32 [n_items], the attention's view of the item alone.
        known: bool [n_items], whether an item has text.
    """

    model: InterestModel
    items: Tensor
    past: Tensor
    logits: Tensor
    known: np.ndarray

    @classmethod
    @torch.inference_mode()
    def of(cls, model: InterestModel, vectors: np.ndarray) -> "InterestTable":
        """Pass the catalogue through the towers once.

        Args:
            model: The trained head.
            vectors: float32 [n_items, dim]; NaN rows for items without text.

        Returns:
            The table.
        """
        model = model.eval()
        known = ~np.isnan(vectors[:, 0])
        text = torch.from_numpy(np.nan_to_num(vectors))
        blank = torch.from_numpy(~known)[:, None]
        past = model.tower(model.past, text).masked_fill(blank, 0)
        items = model.tower(model.item, text).masked_fill(blank, float("nan"))
        return cls(model, items, past, model.attend(past).squeeze(-1), known)

    @torch.inference_mode()
    def item_rows(self, item: np.ndarray, inline: dict[int, np.ndarray] | None = None) -> Tensor:
        """Look candidates up, [n, dim]; NaN for unknown ones without a vector of their own.

        Args:
            item: int32 [n], places in the catalogue; negative for unknown items.
            inline: Text vectors of candidates that brought their text, by place among the n.

        Returns:
            Vectors in the space of matches.
        """
        rows = self.items[torch.from_numpy(np.maximum(item, 0).astype(np.int64))].clone()
        rows[torch.from_numpy(item < 0)] = float("nan")
        for place, vector in (inline or {}).items():
            rows[place] = self.model.tower(self.model.item, torch.from_numpy(vector))
        return rows

    @torch.inference_mode()
    def match(
        self,
        candidates: Tensor,
        item: np.ndarray,
        history: History,
        time: int,
        query: np.ndarray | None,
    ) -> np.ndarray:
        """Score the candidates of one request.

        Args:
            candidates: From `item_rows`, [n, dim].
            item: int32 [n], places in the catalogue; negative for unknown items.
            history: Of the request's user, [1, k].
            time: UTC microseconds of the request.
            query: Text vector of the query, float32 [dim]; None or NaN without one.

        Returns:
            Interest match, float32 [n]; NaN for candidates without text.
        """
        score = candidates @ self.model.default
        past_item = history.item[0]
        usable = (past_item >= 0) & self.known[np.maximum(past_item, 0)]
        if usable.any():
            places = torch.from_numpy(past_item[usable].astype(np.int64))
            age = torch.from_numpy(ages(history, np.array([time]))[0][usable])
            kind = torch.from_numpy(history.kind[0][usable].astype(np.int64))
            recency = self.model.recency
            logits = (
                self.logits[places]
                + self.model.kind[kind.clamp(min=0)]
                + recency[0] * age
                + recency[1] * age.square() / 5
            )
            similarity = candidates @ self.past[places].T
            mask = torch.from_numpy(item[:, None] != past_item[usable][None, :])
            score = score + self.model.pool(similarity, logits[None], mask)
        if query is not None and not np.isnan(query[0]):
            wish = self.model.tower(self.model.query, torch.from_numpy(query))
            score = score + self.model.query_scale * (candidates @ wish)
        return score.numpy().astype(np.float32)
