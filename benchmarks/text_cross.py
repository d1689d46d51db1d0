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
from pathlib import Path

import numpy as np
import torch
from cross_encoder import (
    CrossEncoder,
    Short,
    all_scores,
    drawn,
    reordered,
    short_lists,
    train_cross,
)
from profiles import profile_match, train_profile
from torch import Tensor, nn

from features.history import History
from recsys.bootstrap import Estimate, bootstrap_difference, bootstrap_mean
from recsys.config import WorkspaceConfig
from recsys.dataset import LabelledSlates, read_slates
from recsys.metrics import ndcg_at_k, rank_rows
from recsys.ranking_rows import Texts, encode_texts
from recsys.split import periods
from recsys.text.head import InterestModel
from recsys.text.interest import ages
from recsys.text.loss import DrawTexts, Users, batch_of, own_scores, slate_loss
from recsys.text.sampling import Sampler
from recsys.text.sources import FrozenSource
from recsys.text.template import item_texts
from recsys.workspace import Workspace
from recsys.workspace_features import open_workspace_log

DISTILLED_RATE, DISTILLED_STEPS, DISTILLED_SLATES = 1e-4, 200, 16
FRESH_DRAWS = 100_000
"""Draws from here on were not seen by the head before."""


def ndcg(slates: LabelledSlates, score: np.ndarray, config: WorkspaceConfig) -> np.ndarray:
    """Give nDCG@10 of each request, float64 [n_requests]."""
    gain = np.asarray(config.labels.label_gain)[slates.grade]
    score = np.where(np.isnan(score), -np.inf, score)
    return ndcg_at_k(rank_rows(slates.rows.offsets, score, gain))


def distilled(
    model: InterestModel,
    sampler: Sampler,
    short: Short,
    teacher: np.ndarray | None,
    texts: Texts,
) -> InterestModel:
    """Train a head on with the product's loss, and with the teacher's order of short lists.

    Args:
        model: The head to begin from.
        sampler: Draws slates for the product's loss.
        short: The lists.
        teacher: Its scores, [n_rows], NaN beyond the lists; None trains on without.
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
                wanted = torch.from_numpy(teacher[short.chosen[request]]).softmax(0)
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
    known = ~np.isnan(texts.vectors.items[:, 0])
    sampler = Sampler(earlier.cut(0, cut), known, config.labels.label_gain, settings, seed)
    trained = train_profile(
        InterestModel,
        sampler,
        earlier.cut(cut, len(earlier)),
        texts.vectors,
        len(log.kinds),
        config.labels.label_gain,
    )
    print(f"head: {trained.steps} steps, nDCG@10 {trained.ndcg:.4f} where it stopped", flush=True)
    random = np.random.default_rng(seed)
    judged = later.only(drawn(later, arguments.judged, random))
    newer = earlier.cut(cut // 2, cut)
    learned = newer.only(drawn(newer, arguments.slates, random))

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
            judged, reordered(test.match, all_scores(cross, test, told)), config
        ),
    }
    answer = (time.perf_counter() - started) / len(judged)
    print({name: float(np.nanmean(values)) for name, values in found.items()}, flush=True)
    teacher = all_scores(cross, lesson, told)
    for name, wanted in (
        ("bi-encoder, trained on without it", None),
        ("bi-encoder, trained on with its scores", teacher),
    ):
        student = distilled(trained.model, sampler, lesson, wanted, texts)
        found[name] = ndcg(judged, profile_match(student, judged, texts.vectors), config)
    report(found, judged, {"seconds_a_slate": {"training": seconds, "answer": answer}}, arguments)


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
