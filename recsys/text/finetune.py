"""Fine-tuning of the interest match on slates: clicked or bought against the rest.

Mode `head`: the encoder stays frozen, its vectors are computed once, and only the head on them is
trained. Modes that train the encoder's own layers take the place of `Batch.vectors`, which here
looks the frozen vectors up.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from data_contracts.errors import DataError
from data_contracts.progress import Track, silent
from recsys.dataset import LabelledSlates
from recsys.metrics import ndcg_at_k, rank_rows
from recsys.text.head import InterestModel, table_of
from recsys.text.interest import HIDDEN, InterestTable
from recsys.text.sampling import Batch, FrozenVectors, Sampler
from recsys.text.settings import TextSettings

_CHECK_EVERY = 100
_ACROSS = 0.5
"""Weight of the comparison across slates."""
_PATIENCE = 4
_SHORTEST = 20
"""Steps of the learning rate's schedule at the least: shorter ones have no room for a warm-up."""
_VALIDATION_SHARE = 0.1
_VALIDATION_SLATES = 1_000
"""Slates that decide on early stopping, at the most: the last ones before the end of the period."""


@dataclass(frozen=True)
class TextTraining:
    """What fine-tuning gives.

    Attributes:
        model: The head with the best validation nDCG@10.
        curve: Step and validation nDCG@10, one pair a check.
        trained_until: The last instant whose events may have decided a label, UTC microseconds.
    """

    model: InterestModel
    curve: list[tuple[int, float]]
    trained_until: int


def finetune_head(
    slates: LabelledSlates,
    vectors: FrozenVectors,
    gains: Sequence[float],
    kinds: int,
    settings: TextSettings,
    seed: int = 0,
    track: Track = silent,
) -> TextTraining:
    """Train the head on slates whose labels are final.

    Args:
        slates: Requests before the end of the text model's period, in order of time.
        vectors: Of items and queries, from the frozen encoder.
        gains: Gain of each grade.
        kinds: Number of kinds of interaction in the histories.
        settings: Steps, batches, learning rate.
        seed: Seeds the sampling, the dropout and the initial weights.
        track: Shows progress.

    Returns:
        The best head.

    Raises:
        DataError: Too few slates have both a positive and a negative with text, or the last ones
            have no positive.
    """
    torch.manual_seed(seed)
    with _one_thread():
        return _train(slates, vectors, gains, kinds, settings, seed, track)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch compute on one thread.

    The matrices of the head are too small to gain from more, threads that wait for each other lose
    much where cores are shared, and sums come out the same on machines of any size.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _train(
    slates: LabelledSlates,
    vectors: FrozenVectors,
    gains: Sequence[float],
    kinds: int,
    settings: TextSettings,
    seed: int,
    track: Track,
) -> TextTraining:
    cut = len(slates) - min(int(len(slates) * _VALIDATION_SHARE), _VALIDATION_SLATES)
    sampler = Sampler(slates.cut(0, cut), vectors, gains, settings, seed)
    held_out = slates.cut(cut, len(slates))
    if not held_out.grade.any():
        raise DataError(
            f"no positive in the last {len(held_out)} slates of the text model's period",
            "some to decide on early stopping by",
            "move text_end under [split] later",
        )
    model = InterestModel(vectors.items.shape[1], kinds, settings.dropout)
    optimiser = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.learning_rate, total_steps=max(settings.steps, _SHORTEST), pct_start=0.1
    )
    curve = [(0, validation_ndcg(model, held_out, vectors, gains))]
    best, weights, since = curve[0][1], _copy(model), 0
    for step in track(range(1, settings.steps + 1), "Fine-tuning the text model", settings.steps):
        model.train()
        loss = _loss(model, sampler.draw())
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % _CHECK_EVERY == 0 or step == settings.steps:
            curve.append((step, validation_ndcg(model, held_out, vectors, gains)))
            since = 0 if curve[-1][1] > best else since + 1
            if since == 0:
                best, weights = curve[-1][1], _copy(model)
            if since >= _PATIENCE:
                break
    model.load_state_dict(weights)
    return TextTraining(model.eval(), curve, slates.labels_end)


def _copy(model: InterestModel) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def _loss(model: InterestModel, batch: Batch) -> Tensor:
    """Give the slate softmax: each positive against its slate's negatives, and against the batch's.

    The second term compares it with the positives of the other slates of the batch, which are as
    popular as it is itself; items that are a positive of the slate too do not count against it.
    """
    slates, width = batch.gain.shape
    z = model.tower(model.item, batch.candidates)
    past = model.tower(model.past, batch.past)
    user = _Users(past, model.attention(past, batch.kind, batch.age), batch.past_item, batch.query)
    item = batch.item.view(slates, width)
    own = _own_scores(model, user, z.view(slates, width, -1), item)
    wanted = batch.gain > 0
    others = wanted.ravel().nonzero().squeeze(1)
    across = _shared_scores(model, user, z[others], batch.item[others])
    mine = (batch.item[others][None, :, None] == torch.where(wanted, item, -2)[:, None, :]).any(-1)
    weight = batch.gain / batch.gain.sum(1, keepdim=True).clamp(min=1e-6)
    return _softmax_loss(own, weight, own, batch.valid & ~wanted) + _ACROSS * _softmax_loss(
        own, weight, across, ~mine
    )


def _softmax_loss(score: Tensor, weight: Tensor, others: Tensor, against: Tensor) -> Tensor:
    """Give the mean over slates of -log softmax of each positive against `others`.

    Args:
        score: Scores of the slate's candidates, [b, m].
        weight: Their weights, [b, m]; 0 for all but positives.
        others: Scores of what a positive is compared with, [b, n].
        against: Which of those count, bool [b, n].

    Returns:
        The loss, a scalar.
    """
    rest = others.masked_fill(~against, float(HIDDEN)).logsumexp(1, keepdim=True)
    return ((torch.logaddexp(score, rest) - score) * weight).sum() / len(score)


@dataclass(frozen=True)
class _Users:
    """The users of a batch: past items in the space of matches, attention logits, places, query."""

    past: Tensor
    logits: Tensor
    past_item: Tensor
    query: Tensor


def _own_scores(model: InterestModel, user: _Users, z: Tensor, item: Tensor) -> Tensor:
    """Score each slate's own candidates z, [b, m, dim], at places `item`, [b, m]: [b, m]."""
    similarity = z @ user.past.transpose(1, 2)
    wish = z @ _wish(model, user)[:, :, None]
    return _pooled(model, user, similarity, item) + z @ model.default + wish.squeeze(-1)


def _shared_scores(model: InterestModel, user: _Users, z: Tensor, item: Tensor) -> Tensor:
    """Score the same candidates z, [n, dim], at places `item`, [n], for every user: [b, n]."""
    similarity = (user.past @ z.T).transpose(1, 2)
    shared = item.expand(len(user.past), -1)
    return _pooled(model, user, similarity, shared) + z @ model.default + _wish(model, user) @ z.T


def _pooled(model: InterestModel, user: _Users, similarity: Tensor, item: Tensor) -> Tensor:
    past_item = user.past_item[:, None, :]
    mask = (past_item >= 0) & (past_item != item[:, :, None])
    return model.pool(similarity, user.logits[:, None, :], mask)


def _wish(model: InterestModel, user: _Users) -> Tensor:
    """Bring the queries into the space of matches, scaled, [b, dim]; 0 without a query."""
    asked = user.query.abs().sum(1, keepdim=True) > 0
    return model.query_scale * torch.where(asked, model.tower(model.query, user.query), 0.0)


def match_rows(
    table: InterestTable,
    slates: LabelledSlates,
    query_vectors: np.ndarray,
    track: Track = silent,
) -> np.ndarray:
    """Score every row of some requests.

    Args:
        table: The catalogue in the space of matches.
        slates: The requests; their grades are not looked at.
        query_vectors: float32 [n_queries, dim].
        track: Shows progress.

    Returns:
        Interest match, float32 [n_rows]; NaN for items without text.
    """
    rows = slates.rows
    match = np.empty(len(rows), np.float32)
    for request in track(range(len(slates)), "Matching texts", len(slates)):
        span = slice(int(rows.offsets[request]), int(rows.offsets[request + 1]))
        item = rows.item[span]
        asked = slates.query[request]
        match[span] = table.match(
            table.candidates(item),
            item,
            slates.history.take(np.array([request])),
            int(rows.request_time[request]),
            query_vectors[asked] if asked >= 0 else None,
        )
    return match


def validation_ndcg(
    model: InterestModel,
    slates: LabelledSlates,
    vectors: FrozenVectors,
    gains: Sequence[float],
) -> float:
    """Give the mean nDCG@10 of the match alone over requests with a positive."""
    match = match_rows(table_of(model, vectors.items), slates, vectors.queries)
    score = np.where(np.isnan(match), -np.inf, match)
    gain = np.asarray(gains)[slates.grade]
    return float(np.nanmean(ndcg_at_k(rank_rows(slates.rows.offsets, score, gain))))
