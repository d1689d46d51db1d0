"""Word attribution of a score by integrated gradients (Sundararajan et al., 2017).

The path goes from the text with every word blanked to the text as it is, in the space of the
encoder's word embeddings; captum integrates the gradients along it. The shares of the words add up
to the difference of the score between the two ends.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from data_contracts.errors import UsageError
from recsys.text.encoder.bert import TextEncoder, mean_pooled
from recsys.text.encoder.tokenizer import Pieces
from recsys.text.head import head_of
from recsys.text.interest import InterestTable, Past, ages
from recsys.text.template import word_spans

STEPS = 64
"""Points on the path at which gradients are taken."""

Score = Callable[[Tensor], Tensor]
"""Takes unit text vectors, float32 [b, dim], and gives the score of each, [b]."""


@dataclass(frozen=True)
class WordShares:
    """The share of each word of a text in a score.

    Attributes:
        words: In the order of the text; those beyond the encoder's length are left out.
        shares: float64 [n_words]; with `blank` they sum to `score`, but for `error`.
        score: Of the text.
        blank: Of the text with every word blanked.
    """

    words: tuple[str, ...]
    shares: np.ndarray
    score: float
    blank: float

    @property
    def error(self) -> float:
        """Error of the numerical integration, in units of the score."""
        return float(self.score - self.blank - self.shares.sum())


def require_captum() -> None:
    """Check that captum is installed.

    Raises:
        UsageError: captum is not installed.
    """
    if importlib.util.find_spec("captum") is None:
        raise UsageError(
            "no package captum",
            "the packages of the extra `explain`",
            "pip install 'recsys[explain]'",
        )


def word_shares(encoder: TextEncoder, text: str, score: Score, steps: int = STEPS) -> WordShares:
    """Attribute a score of a text to its words.

    Args:
        encoder: Any BERT-like model that takes word embeddings.
        text: The text.
        score: Of its vector; gradients must pass through.
        steps: Points on the path; with more of them the error is smaller.

    Returns:
        The words and their shares.

    Raises:
        UsageError: captum is not installed.
    """
    require_captum()
    from captum.attr import IntegratedGradients  # noqa: PLC0415 - an extra

    pieces = encoder.text_tokenizer.pieces(text)
    blank, full = _ends(encoder, pieces)
    mask = torch.ones(full.shape[:1], dtype=torch.int64, device=encoder.device)

    def scored(embedded: Tensor) -> Tensor:
        there = mask.expand(len(embedded), -1)
        states = encoder.model(inputs_embeds=embedded, attention_mask=there).last_hidden_state
        return score(mean_pooled(states, there))

    by_piece = IntegratedGradients(scored).attribute(
        full[None],
        baselines=blank[None],
        n_steps=steps,
        internal_batch_size=max(1, encoder.token_budget // len(pieces.ids)),
    )
    with torch.no_grad():
        at_blank, at_full = scored(torch.stack([blank, full])).double().cpu().tolist()
    words, shares = _by_word(pieces, by_piece[0].sum(-1).double().cpu().numpy())
    return WordShares(words, shares, at_full, at_blank)


@torch.no_grad()
def _ends(encoder: TextEncoder, pieces: Pieces) -> tuple[Tensor, Tensor]:
    """Give the word embeddings of the blanked text and of the text, both [n_pieces, width]."""
    ids = torch.from_numpy(pieces.ids).to(encoder.device)
    special = torch.from_numpy(pieces.special).to(encoder.device)
    nothing = torch.full_like(ids, encoder.text_tokenizer.pad_id)
    embed = encoder.model.get_input_embeddings()
    return embed(torch.where(special, ids, nothing)), embed(ids)


def _by_word(pieces: Pieces, by_piece: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Add up the pieces of each word; words that share a piece are taken together."""
    spans = word_spans(pieces.text)
    found: list[tuple[int, int, float]] = []
    for (low, high), special, share in zip(pieces.spans, pieces.special, by_piece, strict=True):
        if special:
            continue
        # A piece may be the space before its word.
        inside = pieces.text[low:high].strip()
        first, last = (low, high) if inside else (high, high + 1)
        touched = [span for span in spans if span[0] < last and first < span[1]]
        start = min((span[0] for span in touched), default=first)
        end = max((span[1] for span in touched), default=last)
        if found and start < found[-1][1]:
            before = found.pop()
            start, end, share = before[0], max(before[1], end), before[2] + share  # noqa: PLW2901
        found.append((start, end, share))
    words = tuple(pieces.text[start:end] for start, end, _ in found)
    return words, np.array([share for _, _, share in found], np.float64)


def differentiable_match(
    table: InterestTable, item: int, past: Past, time: int, query: np.ndarray | None
) -> Score:
    """Give the match of one candidate as a function of its text vector.

    Args:
        table: Texts in the space of matches.
        item: Code of the candidate, whose own copies in the history are left out; negative for an
            unknown item.
        past: History of the request's user, with rows of the table.
        time: UTC microseconds of the request.
        query: Text vector of the query, float32 [dim]; None without one.

    Returns:
        What `InterestTable.match` gives, from vectors float32 [b, dim] that gradients pass through.
    """
    head = head_of(table)
    history, usable = past.history, past.text >= 0
    text = past.text[usable]
    kind = torch.from_numpy(history.kind[usable].astype(np.int64))
    age = torch.from_numpy(ages(history, np.array([time]))[usable])
    vectors = torch.from_numpy(table.past.take(text))
    others = torch.from_numpy(history.item[usable] != item)
    logits = torch.from_numpy(table.logits.take(text)) + head.circumstances(kind, age)
    wish = torch.zeros(head.space)
    if query is not None:
        wish = head.query_scale * torch.from_numpy(table.project("query", query))

    def score(text: Tensor) -> Tensor:
        z = head.tower(head.item, text.cpu())
        similarity = z @ vectors.T
        pooled = head.pool(similarity, logits[None], others[None].expand_as(similarity))
        return pooled + z @ (head.default + wish)

    return score
