"""A cross-encoder: history and candidate in one input, over short lists of candidates."""

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from recsys.dataset import LabelledSlates
from recsys.text.encoder import TextEncoder, mean_pooled
from recsys.text.modes.layers import layer_stack

RATE, HEAD_RATE = 5e-5, 1e-3
_AT_ONCE = 8
"""Candidates that are scored together: their tokens fit a core's cache, those of 20 do not."""


class CrossEncoder(nn.Module):
    """A transformer over history and candidate, mean pooled, and a line through it.

    Args:
        encoder: Where it begins.
        trained: Last layers that are trained; the others stay frozen.
    """

    def __init__(self, encoder: TextEncoder, trained: int) -> None:
        super().__init__()
        self.tokenizer = encoder.tokenizer
        self.model = copy.deepcopy(encoder.model).requires_grad_(requires_grad=False)
        layers = layer_stack(self.model).layers
        for layer in list(layers)[-trained:]:
            layer.requires_grad_(requires_grad=True)
        self.line = nn.Linear(encoder.dim, 1)
        nn.init.zeros_(self.line.weight)
        self.match = nn.Parameter(torch.tensor(1.0))

    def forward(self, history: str, candidates: Sequence[str], match: Tensor) -> Tensor:
        """Score candidates, [n]: a line through the pooled states, beside the scaled match."""
        inputs = self.tokenizer(
            [history] * len(candidates),
            list(candidates),
            truncation="only_first",
            max_length=96,
            padding=True,
            return_tensors="pt",
        )
        pooled = mean_pooled(self.model(**inputs).last_hidden_state, inputs["attention_mask"])
        return self.line(pooled).squeeze(-1) * 10 + self.match * match


@dataclass(frozen=True)
class Short:
    """The first candidates of some slates.

    Attributes:
        slates: The slates.
        match: Of every row, float32 [n_rows].
        chosen: Rows of each slate's first candidates, best first.
        histories: The newest texts of each user, in one string.
    """

    slates: LabelledSlates
    match: np.ndarray
    chosen: list[np.ndarray]
    histories: list[str]


def short_lists(
    slates: LabelledSlates,
    match: np.ndarray,
    texts: Sequence[str],
    count: int,
    newest: int,
    *,
    with_positives: bool,
) -> Short:
    """Choose the candidates that the match likes best, in training also up to a third positives."""
    score = np.where(np.isnan(match), -np.inf, match)
    chosen, histories = [], []
    for request in range(len(slates)):
        low, high = slates.rows.offsets[request : request + 2]
        order = low + np.argsort(-score[low:high], kind="stable")
        if with_positives:
            taken = order[slates.grade[order] > 0][: count // 3]
            order = np.append(taken, order[slates.grade[order] == 0][: count - len(taken)])
        chosen.append(order[:count])
        past = slates.history.item[request]
        named = dict.fromkeys(texts[item] for item in past[past >= 0])
        histories.append("; ".join(list(named)[:newest]))
    return Short(slates, match, chosen, histories)


def slate_softmax(score: Tensor, gain: Tensor) -> Tensor:
    """Give the mean of -log softmax of each positive against what was not taken."""
    rest = score[gain == 0].logsumexp(0)
    return (torch.logaddexp(score[gain > 0], rest) - score[gain > 0]).mean()


def train_cross(model: CrossEncoder, short: Short, texts: Sequence[str], seed: int) -> float:
    """Train on every slate once, four slates a step; give the seconds per slate."""
    parameters = [p for p in model.model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        [
            {"params": parameters, "lr": RATE},
            {"params": [*model.line.parameters(), model.match], "lr": HEAD_RATE},
        ]
    )
    order = np.random.default_rng(seed).permutation(len(short.chosen))
    started, losses = time.perf_counter(), []
    for place, request in enumerate(order):
        rows = short.chosen[request]
        gain = torch.from_numpy((short.slates.grade[rows] > 0).astype(np.float32))
        if 0 < gain.sum() < len(rows):
            loss = slate_softmax(cross_scores(model, short, request, texts), gain)
            (loss / 4).backward()  # type: ignore[no-untyped-call]
            losses.append(loss.item())
        if place % 4 == 3:
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad()
        if place % 50 == 49:
            print(f"  slate {place + 1}: loss {np.mean(losses[-50:]):.3f}", flush=True)
    return (time.perf_counter() - started) / len(order)


def cross_scores(
    model: CrossEncoder,
    short: Short,
    request: int,
    texts: Sequence[str],
    part: slice = slice(None),
) -> Tensor:
    """Score a slate's first candidates or a part of them, [n]."""
    rows = short.chosen[request][part]
    match = torch.from_numpy(np.nan_to_num(short.match[rows]))
    named = [texts[item] for item in short.slates.rows.item[rows]]
    return model(short.histories[request], named, match)


@torch.inference_mode()
def all_scores(model: CrossEncoder, short: Short, texts: Sequence[str]) -> np.ndarray:
    """Score the first candidates of every slate, float32 [n_rows]; NaN for the others."""
    model = model.eval()
    found = np.full(len(short.match), np.nan, np.float32)
    for request, rows in enumerate(short.chosen):
        for low in range(0, len(rows), _AT_ONCE):
            part = slice(low, low + _AT_ONCE)
            found[rows[part]] = cross_scores(model, short, request, texts, part).numpy()
    return found


def reordered(match: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Put scored candidates in the order of their scores, all of them before the rest.

    Args:
        match: Orders the rest, [n_rows]; NaN for items without text.
        score: [n_rows]; NaN for the rest.

    Returns:
        float64 [n_rows], higher is better within a slate.
    """
    rest = np.where(np.isnan(match), -np.inf, match).astype(np.float64) - 1e6
    return np.where(np.isnan(score), rest, score)


def drawn(
    slates: LabelledSlates, count: int, random: np.random.Generator, *, with_history: bool = True
) -> np.ndarray:
    """Draw requests that have a positive, and whose user has a history if that is asked for.

    Returns:
        Which rows are of them, bool [n_rows].
    """
    rows = slates.rows
    usable = np.add.reduceat(slates.grade > 0, rows.offsets[:-1]) > 0
    if with_history:
        usable &= slates.history.item[:, 0] >= 0
    there = np.flatnonzero(usable)
    kept = np.zeros(len(slates), bool)
    kept[random.choice(there, min(count, len(there)), replace=False)] = True
    return kept[rows.request]
