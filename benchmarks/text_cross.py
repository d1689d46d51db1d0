"""A cross-encoder over the best candidates, and what the head learns from it.

The cross-encoder reads the user's newest texts and a candidate in one input, and puts the first
candidates of the interest match into a new order. It is trained on some slates of the text model's
period and judged on slates of the validation period, beside the match that gave it its candidates.
Then the head is trained on with the cross-encoder's scores as a second target, and for comparison
without. Last a line of JSON.

    python benchmarks/text_cross.py WORKSPACE --slates 300 --judged 200
"""

import argparse
import copy
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from profiles import profile_match, train_profile
from torch import Tensor, nn

from features.history import History
from recsys.bootstrap import Estimate, bootstrap_difference, bootstrap_mean
from recsys.config import WorkspaceConfig
from recsys.dataset import LabelledSlates, read_slates
from recsys.metrics import ndcg_at_k, rank_rows
from recsys.ranking_rows import Texts, encode_texts
from recsys.split import periods
from recsys.text.encoder import TextEncoder, mean_pooled
from recsys.text.head import InterestModel
from recsys.text.interest import ages
from recsys.text.loss import DrawTexts, Users, batch_of, own_scores, slate_loss
from recsys.text.modes.layers import layer_stack
from recsys.text.sampling import Sampler
from recsys.text.sources import FrozenSource
from recsys.text.template import item_texts
from recsys.workspace import Workspace
from recsys.workspace_features import open_workspace_log

RATE, HEAD_RATE = 5e-5, 1e-3
DISTILLED_RATE, DISTILLED_STEPS, DISTILLED_SLATES = 1e-4, 200, 16
FRESH_DRAWS = 100_000
"""Draws from here on were not seen by the head before."""


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


def cross_scores(model: CrossEncoder, short: Short, request: int, texts: Sequence[str]) -> Tensor:
    """Score a slate's first candidates, [n]."""
    rows = short.chosen[request]
    match = torch.from_numpy(np.nan_to_num(short.match[rows]))
    named = [texts[item] for item in short.slates.rows.item[rows]]
    return model(short.histories[request], named, match)


@torch.inference_mode()
def all_scores(model: CrossEncoder, short: Short, texts: Sequence[str]) -> list[np.ndarray]:
    """Score the first candidates of every slate."""
    return [
        cross_scores(model.eval(), short, request, texts).numpy()
        for request in range(len(short.chosen))
    ]


def reordered(short: Short, scores: Sequence[np.ndarray]) -> np.ndarray:
    """Put the first candidates in another order, all of them before the rest, float64 [n_rows]."""
    found = np.where(np.isnan(short.match), -np.inf, short.match).astype(np.float64) - 1e6
    for rows, score in zip(short.chosen, scores, strict=True):
        found[rows] = score
    return found


def ndcg(slates: LabelledSlates, score: np.ndarray, config: WorkspaceConfig) -> np.ndarray:
    """Give nDCG@10 of each request, float64 [n_requests]."""
    gain = np.asarray(config.labels.label_gain)[slates.grade]
    score = np.where(np.isnan(score), -np.inf, score)
    return ndcg_at_k(rank_rows(slates.rows.offsets, score, gain))


def distilled(
    model: InterestModel,
    sampler: Sampler,
    short: Short,
    teacher: Sequence[np.ndarray] | None,
    texts: Texts,
) -> InterestModel:
    """Train a head on with the product's loss, and with the teacher's order of short lists.

    Args:
        model: The head to begin from.
        sampler: Draws slates for the product's loss.
        short: The lists.
        teacher: Its scores of each list; None trains on without.
        texts: Frozen vectors.

    Returns:
        Another head.
    """
    model = copy.deepcopy(model).train()
    source = FrozenSource(texts.vectors)
    known = source.item_text >= 0
    vectors = torch.from_numpy(np.nan_to_num(texts.vectors.items))
    optimiser = torch.optim.AdamW(model.parameters(), lr=DISTILLED_RATE)
    random = np.random.default_rng(sampler.seed)
    for step in range(DISTILLED_STEPS):
        torch.manual_seed(step)
        draw = sampler.draw(FRESH_DRAWS + step)
        where = DrawTexts.of(draw, source.item_text, source.query_text)
        batch = batch_of(draw, where, source.vectors(where.texts, training=True))
        loss = slate_loss(model, batch, sampler.settings)
        if teacher is not None:
            for request in random.choice(
                len(short.chosen), min(DISTILLED_SLATES, len(short.chosen)), replace=False
            ):
                score = head_scores(model, short, int(request), vectors, known)
                wanted = torch.from_numpy(teacher[request]).softmax(0)
                loss = loss - (wanted * score.log_softmax(0)).sum() / DISTILLED_SLATES
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    return model.eval()


def head_scores(
    model: InterestModel, short: Short, request: int, vectors: Tensor, known: np.ndarray
) -> Tensor:
    """Score a slate's first candidates with gradients, [n]."""
    slates = short.slates
    past = slates.history.take(np.array([request]))
    silent = (past.item < 0) | ~known[np.maximum(past.item, 0)]
    past = History(np.where(silent, -1, past.item), past.kind, past.time)
    item = torch.from_numpy(past.item.astype(np.int64))
    age = torch.from_numpy(ages(past, slates.rows.request_time[[request]]))
    kind = torch.from_numpy(past.kind.astype(np.int64))
    seen, logits = model.history(vectors[item.clamp(min=0)], kind, age, item >= 0)
    candidate = torch.from_numpy(slates.rows.item[short.chosen[request]].astype(np.int64))[None]
    z = model.tower(model.item, vectors[candidate])
    user = Users(seen, logits, item, torch.zeros(1, model.dim))
    return own_scores(model, user, z, candidate)[0]


def compare(workspace: Workspace, arguments: argparse.Namespace) -> None:
    """Train, judge and print."""
    config, seed = workspace.config, arguments.seed
    log, texts = open_workspace_log(workspace), encode_texts(workspace)
    split = periods(config.split, config.labels.attribution_window_hours)
    settings = config.text.model_copy(update={"steps": arguments.steps})
    told = item_texts(
        workspace.scan("items").select(settings.template).collect(),
        settings.template,
        settings.limits,
    ).to_list()
    past = settings.training_history
    earlier = read_slates(workspace, log, texts.queries, split.text, past).slates
    later = read_slates(workspace, log, texts.queries, split.validation, past).slates
    cut = len(earlier) - min(len(earlier) // 10, 1_000)
    trained = train_profile(
        InterestModel,
        (earlier.cut(0, cut), earlier.cut(cut, len(earlier))),
        texts.vectors,
        settings,
        len(log.kinds),
        config.labels.label_gain,
        seed,
    )
    print(f"head: {trained.steps} steps, nDCG@10 {trained.ndcg:.4f} where it stopped", flush=True)
    random = np.random.default_rng(seed)
    judged = drawn(later, arguments.judged, random)
    learned = drawn(earlier.cut(cut // 2, cut), arguments.slates, random)

    def lists(slates: LabelledSlates, model: InterestModel, *, with_positives: bool) -> Short:
        count = arguments.candidates if not with_positives else arguments.candidates * 3 // 5
        match = profile_match(model, slates, texts.vectors)
        return short_lists(
            slates, match, told, count, arguments.newest, with_positives=with_positives
        )

    test = lists(judged, trained.model, with_positives=False)
    lesson = lists(learned, trained.model, with_positives=True)
    cross = CrossEncoder(texts.encoder, arguments.layers)
    torch.manual_seed(seed)
    seconds = train_cross(cross, lesson, told, seed)
    started = time.perf_counter()
    found = {
        "bi-encoder": ndcg(judged, test.match, config),
        "cross-encoder over its first candidates": ndcg(
            judged, reordered(test, all_scores(cross, test, told)), config
        ),
    }
    answer = (time.perf_counter() - started) / len(judged)
    print({name: float(np.nanmean(values)) for name, values in found.items()}, flush=True)
    teacher = all_scores(cross, lesson, told)
    known = ~np.isnan(texts.vectors.items[:, 0])
    sampler = Sampler(earlier.cut(0, cut), known, config.labels.label_gain, settings, seed)
    for name, wanted in (
        ("bi-encoder, trained on without it", None),
        ("bi-encoder, trained on with its scores", teacher),
    ):
        student = distilled(trained.model, sampler, lesson, wanted, texts)
        found[name] = ndcg(judged, profile_match(student, judged, texts.vectors), config)
    report(found, judged, {"seconds_a_slate": {"training": seconds, "answer": answer}}, arguments)


def drawn(slates: LabelledSlates, count: int, random: np.random.Generator) -> LabelledSlates:
    """Draw requests that have a positive and whose user has a history."""
    rows = slates.rows
    positive = np.add.reduceat(slates.grade > 0, rows.offsets[:-1]) > 0
    there = np.flatnonzero(positive & (slates.history.item[:, 0] >= 0))
    kept = np.zeros(len(slates), bool)
    kept[random.choice(there, min(count, len(there)), replace=False)] = True
    return slates.only(kept[rows.request])


def report(
    found: dict[str, np.ndarray],
    judged: LabelledSlates,
    told: dict[str, object],
    arguments: argparse.Namespace,
) -> None:
    """Print the table and the line of JSON."""
    users = judged.rows.request_user
    first = next(iter(found.values()))
    table = {}
    print("| | nDCG@10 | against the bi-encoder |\n|---|---|---|")
    for name, values in found.items():
        mean = bootstrap_mean(values, users)
        gain = bootstrap_difference(values, first, users)
        print(f"| {name} | {shown(mean, '')} | {'' if values is first else shown(gain, '+')} |")
        table[name] = [mean.mean, gain.mean, gain.low, gain.high]
    asked = {name: value for name, value in vars(arguments).items() if name != "workspace"}
    print(json.dumps({"benchmark": "text_cross", **asked, **told, "table": table}))


def shown(estimate: Estimate, sign: str) -> str:
    """Write a mean and its interval."""
    mean, low, high = (f"{each:{sign}.4f}" for each in (estimate.mean, estimate.low, estimate.high))
    return f"{mean} [{low}, {high}]"


def main() -> None:
    """Read the command line and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--slates", type=int, default=300, help="to train the cross-encoder on")
    parser.add_argument("--judged", type=int, default=200, help="to judge on")
    parser.add_argument("--candidates", type=int, default=20, help="put into a new order")
    parser.add_argument("--newest", type=int, default=6, help="past texts that are read")
    parser.add_argument("--layers", type=int, default=3, help="of the cross-encoder, trained")
    parser.add_argument("--steps", type=int, default=600, help="of the head before")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    compare(Workspace.open(arguments.workspace), arguments)


if __name__ == "__main__":
    main()
