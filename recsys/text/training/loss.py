"""The loss of fine-tuning: a softmax within each slate and across the slates of a batch."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recsys.text.head import InterestModel
from recsys.text.interest import HIDDEN
from recsys.text.settings import TextSettings
from recsys.text.training.sampling import Draw


@dataclass(frozen=True)
class SlateBatch:
    """Slates drawn for one step, with their vectors: `b` slates of `m` candidates each.

    Attributes:
        candidates: Text vectors, [b, m, dim].
        item: Codes, [b, m].
        gain: [b, m]; 0 for negatives and padding.
        valid: Which candidates are real, bool [b, m].
        popularity: Log of the item's share of all positives, [b, m].
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
    popularity: Tensor
    past: Tensor
    past_item: Tensor
    kind: Tensor
    age: Tensor
    query: Tensor


@dataclass(frozen=True)
class DrawTexts:
    """The distinct texts of a draw, and their places in it.

    Attributes:
        texts: int64 [u], distinct texts, in order.
        candidates: int64 [b, m], places among them; u where there is none.
        past: int64 [b, k].
        query: int64 [b].
    """

    texts: np.ndarray
    candidates: np.ndarray
    past: np.ndarray
    query: np.ndarray

    @classmethod
    def of(cls, draw: Draw, item_text: np.ndarray, query_text: np.ndarray) -> "DrawTexts":
        """Find the distinct texts of a draw.

        Args:
            draw: What was drawn.
            item_text: int64 [n_codes], place of each text of an item by its code; -1 without one.
            query_text: int64 [n_queries], likewise.

        Returns:
            The distinct texts and their places.
        """
        parts = [
            np.where(draw.valid, item_text[draw.text], -1),
            np.append(item_text, -1)[draw.past_text],
            np.append(query_text, -1)[draw.query],
        ]
        flat = np.concatenate([part.ravel() for part in parts])
        texts = np.unique(flat[flat >= 0])
        places = np.where(flat >= 0, np.searchsorted(texts, flat), len(texts))
        cut = np.cumsum([part.size for part in parts])[:-1]
        split = zip(np.split(places, cut), parts, strict=True)
        return cls(texts, *(place.reshape(part.shape) for place, part in split))


def batch_of(draw: Draw, where: DrawTexts, vectors: Tensor) -> SlateBatch:
    """Give a draw its vectors.

    Args:
        draw: What was drawn.
        where: Its distinct texts.
        vectors: Of those, [u, dim].

    Returns:
        The batch, on the device of the vectors.
    """
    table = torch.cat([vectors, vectors.new_zeros(1, vectors.shape[1])])

    def moved(array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(vectors.device)

    def looked_up(places: np.ndarray) -> Tensor:
        return torch.nn.functional.embedding(moved(places), table)

    return SlateBatch(
        looked_up(where.candidates),
        moved(draw.item),
        moved(draw.gain),
        moved(draw.valid),
        moved(draw.popularity),
        looked_up(where.past),
        moved(draw.past_item),
        moved(draw.kind),
        moved(draw.age),
        looked_up(where.query),
    )


def slate_loss(
    model: InterestModel, batch: SlateBatch, settings: TextSettings, mine: slice = slice(None)
) -> Tensor:
    """Give the slate softmax: each positive against its slate's negatives, and against the batch's.

    Within a slate a positive is compared with what has a lower grade. Across slates it is compared
    with the positives of the others, which are as popular as it is itself; items that are a
    positive of the slate too do not count against it. Taking log q off every logit undoes that
    popular ones are met more often (Yi et al., 2019, "Sampling-bias-corrected neural modeling for
    large corpus item recommendations").

    Args:
        model: The head.
        batch: All slates of the step.
        settings: Weights of the comparisons.
        mine: Slates whose loss is asked for, where several workers share the batch.

    Returns:
        Their sum over the number of all slates, a scalar.
    """
    z = model.tower(model.item, batch.candidates)
    past_item = batch.past_item[mine]
    past = model.tower(model.past, batch.past[mine])
    logits = model.attention(past, batch.kind[mine], batch.age[mine])
    user = UserBatch(past, logits, past_item, batch.query[mine])
    item, gain = batch.item[mine], batch.gain[mine]
    own = own_scores(model, user, z[mine], item)
    weight = gain / gain.sum(1, keepdim=True).clamp(min=1e-6)
    lower = gain[:, None, :] < gain[:, :, None]
    if not settings.grades_compete:
        lower &= gain[:, None, :] == 0
    loss = _softmax_loss(own, weight, own[:, None, :], batch.valid[mine][:, None, :] & lower)
    if settings.across > 0:
        taken = torch.where(gain > 0, item, -2)
        wanted = (batch.gain > 0).ravel().nonzero().squeeze(1)
        other_item = batch.item.ravel()[wanted]
        others = shared_scores(model, user, z.flatten(0, 1).index_select(0, wanted), other_item)
        own_positive = (other_item[None, :, None] == taken[:, None, :]).any(-1)
        # Without this an item counts against others as often as it is a positive.
        off = settings.popularity_correction * batch.popularity
        others = others - off.ravel()[wanted]
        loss = loss + settings.across * _softmax_loss(
            own - off[mine], weight, others[:, None, :], ~own_positive[:, None, :]
        )
    return loss / len(batch.gain)


def _softmax_loss(score: Tensor, weight: Tensor, others: Tensor, against: Tensor) -> Tensor:
    """Give the sum over slates of -log softmax of each positive against `others`, a scalar.

    `score` and `weight`, 0 for all but positives, are [b, m]; `others` are [b, 1, n], and `against`
    says which of them count, bool [b, m or 1, n].
    """
    rest = torch.where(against, others, float(HIDDEN)).logsumexp(-1)
    return ((torch.logaddexp(score, rest) - score) * weight).sum()


@dataclass(frozen=True)
class UserBatch:
    """The users of a batch, as the head sees them.

    Attributes:
        past: Past items in the space of matches, [b, k, dim].
        logits: Their logits of the attention, [b, k].
        past_item: Their codes, [b, k]; -1 beyond the end.
        query: Text vectors of the queries, [b, dim]; 0 without one.
    """

    past: Tensor
    logits: Tensor
    past_item: Tensor
    query: Tensor


def own_scores(model: InterestModel, user: UserBatch, z: Tensor, item: Tensor) -> Tensor:
    """Score each slate's own candidates z, [b, m, dim], at places `item`, [b, m]: [b, m]."""
    similarity = z @ user.past.transpose(1, 2)
    wish = z @ _wish(model, user)[:, :, None]
    return _pooled(model, user, similarity, item) + z @ model.default + wish.squeeze(-1)


def shared_scores(model: InterestModel, user: UserBatch, z: Tensor, item: Tensor) -> Tensor:
    """Score the same candidates z, [n, dim], at places `item`, [n], for every user: [b, n]."""
    similarity = (user.past @ z.T).transpose(1, 2)
    shared = item.expand(len(user.past), -1)
    return _pooled(model, user, similarity, shared) + z @ model.default + _wish(model, user) @ z.T


def _pooled(model: InterestModel, user: UserBatch, similarity: Tensor, item: Tensor) -> Tensor:
    past_item = user.past_item[:, None, :]
    mask = (past_item >= 0) & (past_item != item[:, :, None])
    return model.pool(similarity, user.logits[:, None, :], mask)


def _wish(model: InterestModel, user: UserBatch) -> Tensor:
    """Bring the queries into the space of matches, scaled, [b, dim]; 0 without a query."""
    asked = user.query.abs().sum(1, keepdim=True) > 0
    return model.query_scale * torch.where(asked, model.tower(model.query, user.query), 0.0)
