"""Profiles of a history that were tried beside the product's, all trained in the same way.

Each is a head on frozen text vectors with the product's towers, default profile and query, and
differs only in how the similarities s_j of a candidate to the past items become one number.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from features.history import History
from recsys.dataset import LabelledSlates
from recsys.metrics import ndcg_at_k, rank_rows
from recsys.text.exact import exact, learning_rate_factor, step_seed
from recsys.text.head import InterestModel
from recsys.text.interest import HIDDEN, ages
from recsys.text.loss import DrawTexts, Users, batch_of, own_scores, slate_loss
from recsys.text.sampling import FrozenVectors, Sampler
from recsys.text.sources import FrozenSource

_HEADS, _WIDER = 4, 2
_AT_ONCE = 32
"""Requests that are scored together."""


class MeanProfile(InterestModel):
    """Every past item counts alike: the mean of the history."""

    def pool(self, similarity: Tensor, logits: Tensor, mask: Tensor) -> Tensor:
        """Scale the mean similarity, [..., n]; 0 where no past item counts."""
        count = mask.sum(-1).clamp(min=1)
        return self.scale * (similarity * mask).sum(-1) / count


class MaximumProfile(InterestModel):
    """The past item that is nearest counts alone."""

    def pool(self, similarity: Tensor, logits: Tensor, mask: Tensor) -> Tensor:
        """Scale the largest similarity, [..., n]; 0 where no past item counts."""
        nearest = similarity.masked_fill(~mask, float(HIDDEN)).amax(-1)
        return self.scale * torch.where(mask.any(-1), nearest, torch.zeros(()))


class KernelProfile(InterestModel):
    """A kernel over the whole history: many near items count more than one."""

    def pool(self, similarity: Tensor, logits: Tensor, mask: Tensor) -> Tensor:
        """Scale log(1 + sum_j exp(sharpness s_j + logit_j)), [..., n]."""
        lean = (self.sharpness * similarity + logits).masked_fill(~mask, float(HIDDEN))
        zero = torch.zeros_like(lean[..., :1])
        return self.scale / self.sharpness * torch.cat([lean, zero], -1).logsumexp(-1)


class AttentionProfile(InterestModel):
    """One attention that is blind to the candidate: the history becomes one vector."""

    def pool(self, similarity: Tensor, logits: Tensor, mask: Tensor) -> Tensor:
        """Scale the weighted sum, [..., n]; 0 where no past item counts."""
        weight = logits.expand_as(similarity).masked_fill(~mask, float(HIDDEN)).softmax(-1)
        return self.scale * torch.where(mask, weight * similarity, torch.zeros(())).sum(-1)


class _Transformer(nn.Module):
    """Lets the items of a history look at each other; it begins as the identity."""

    def __init__(self, space: int, kinds: int, dropout: float) -> None:
        super().__init__()
        self.kind = nn.Embedding(kinds, space)
        self.age = nn.Linear(2, space)
        nn.init.normal_(self.kind.weight, std=0.02)
        self.layer = nn.TransformerEncoderLayer(
            space, _HEADS, _WIDER * space, dropout, "gelu", batch_first=True, norm_first=True
        )
        self.out = nn.Linear(space, space)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, past: Tensor, kind: Tensor, age: Tensor, there: Tensor) -> Tensor:
        """Give what a history adds to each of its items, [b, k, space]."""
        # Rows of length 1 are small beside what a normalised layer is used to.
        wide = past * past.shape[-1] ** 0.5
        told = wide + self.kind(kind.clamp(min=0)) + self.age(torch.stack([age, age.square()], -1))
        hidden = ~there
        hidden[..., 0] = False  # a guest's empty history would have nothing to look at
        return self.out(self.layer(told, src_key_padding_mask=hidden))


class TransformerProfile(InterestModel):
    """A small transformer over the history, below the product's two attentions."""

    def __init__(self, dim: int, kinds: int, dropout: float, space: int | None = None) -> None:
        super().__init__(dim, kinds, dropout, space)
        self.mixer = _Transformer(self.space, kinds, dropout)

    def history(
        self, vectors: Tensor, kind: Tensor, age: Tensor, there: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Bring histories into the space of matches, each item told of the others."""
        past = self.tower(self.past, vectors)
        past = nn.functional.normalize(past + self.mixer(past, kind, age, there), dim=-1)
        return past, self.attention(past, kind, age)


Profile = Callable[[int, int, float, int | None], InterestModel]

PRODUCT = "two attentions (the product's)"
PROFILES: Mapping[str, Profile] = {
    "mean of the history": MeanProfile,
    "maximum over the history": MaximumProfile,
    "kernel over the whole history": KernelProfile,
    "one attention (one vector)": AttentionProfile,
    "transformer below two attentions": TransformerProfile,
    PRODUCT: InterestModel,
}


@dataclass(frozen=True)
class TrainedProfile:
    """A head at its best.

    Attributes:
        model: The head.
        ndcg: nDCG@10 of its match alone on the slates that decided when to stop.
        steps: Steps that were taken.
    """

    model: InterestModel
    ndcg: float
    steps: int


def train_profile(
    profile: Profile,
    sampler: Sampler,
    held_out: LabelledSlates,
    vectors: FrozenVectors,
    kinds: int,
    gains: Sequence[float],
) -> TrainedProfile:
    """Train a head with the product's loss, rates and early stopping.

    Args:
        profile: Makes the head.
        sampler: Draws what is learned from; its settings and its seed are those of the training.
        held_out: Decides when to stop.
        vectors: Of items and queries.
        kinds: Number of kinds of interaction.
        gains: Gain of each grade.

    Returns:
        The head.
    """
    settings, seed = sampler.settings, sampler.seed
    source = FrozenSource(vectors)
    torch.manual_seed(seed)
    model = profile(source.dim, kinds, settings.dropout, settings.dimensions)
    model.begin_along(vectors.items)
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=settings.weight_decay)
    best, kept, since = -1.0, copy.deepcopy(model.state_dict()), 0
    with exact(one_thread=True):
        for step in range(1, settings.steps + 1):
            torch.manual_seed(step_seed(seed, step, 0))
            model.train()
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * learning_rate_factor(step, settings)
            optimiser.zero_grad()
            draw = sampler.draw(step - 1)
            where = DrawTexts.of(draw, source.item_text, source.query_text)
            batch = batch_of(draw, where, source.vectors(where.texts, training=True))
            loss = slate_loss(model, batch, settings)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_norm)
            optimiser.step()
            if step % settings.check_every and step != settings.steps:
                continue
            found = match_ndcg(model, held_out, vectors, gains)
            since = 0 if found > best else since + 1
            if found > best:
                best, kept = found, copy.deepcopy(model.state_dict())
            if since >= settings.patience:
                break
    model.load_state_dict(kept)
    return TrainedProfile(model.eval(), best, step)


def match_ndcg(
    model: InterestModel,
    slates: LabelledSlates,
    vectors: FrozenVectors,
    gains: Sequence[float],
) -> float:
    """Give the mean nDCG@10 of the match alone."""
    match = profile_match(model, slates, vectors)
    score = np.where(np.isnan(match), -np.inf, match)
    gain = np.asarray(gains)[slates.grade]
    return float(np.nanmean(ndcg_at_k(rank_rows(slates.rows.offsets, score, gain))))


@torch.inference_mode()
def profile_match(
    model: InterestModel, slates: LabelledSlates, vectors: FrozenVectors
) -> np.ndarray:
    """Score every row of some requests on the path that training takes.

    Args:
        model: The head.
        slates: The requests; their grades are not looked at.
        vectors: Of items and queries.

    Returns:
        Interest match, float32 [n_rows]; NaN for items without text.
    """
    model = model.eval()
    known = ~np.isnan(vectors.items[:, 0])
    text = torch.from_numpy(np.nan_to_num(vectors.items))
    asked = np.vstack([np.nan_to_num(vectors.queries), np.zeros((1, text.shape[1]), np.float32)])
    z = model.tower(model.item, text)
    rows, found = slates.rows, np.full(len(slates.rows), np.nan, np.float32)
    # Requests with histories of about the same length waste little on padding.
    order = np.argsort((slates.history.item >= 0).sum(axis=1), kind="stable")
    for low in range(0, len(order), _AT_ONCE):
        requests = order[low : low + _AT_ONCE]
        past = slates.history.take(requests)
        past = past.newest(max(int((past.item >= 0).sum(axis=1).max()), 1))
        silent = (past.item < 0) | ~known[np.maximum(past.item, 0)]
        past = History(np.where(silent, -1, past.item), past.kind, past.time)
        past_item = torch.from_numpy(past.item.astype(np.int64))
        age = torch.from_numpy(ages(past, rows.request_time[requests]))
        kind = torch.from_numpy(past.kind.astype(np.int64))
        seen, logits = model.history(text[past_item.clamp(min=0)], kind, age, past_item >= 0)
        query = torch.from_numpy(asked[slates.query[requests]])
        starts, sizes = rows.offsets[requests], np.diff(rows.offsets)[requests]
        inside = np.arange(sizes.max()) < sizes[:, None]
        place = np.where(inside, starts[:, None] + np.arange(sizes.max()), 0)
        item = np.where(inside, rows.item[place], -1)
        candidate = torch.from_numpy(item.astype(np.int64))
        user = Users(seen, logits, past_item, query)
        score = own_scores(model, user, z[candidate.clamp(min=0)], candidate).numpy()
        real = (item >= 0) & known[np.maximum(item, 0)]
        found[place[real]] = score[real]
    return found
