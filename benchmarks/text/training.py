"""How fast the text model trains: `top_layers` against a plain loop, and `head` per slate.

The plain loop is what one writes first: the text of every candidate and of every item of every
history goes through all layers, in the order of the slates, 32 at a time. Both loops draw the same
slates, train the same layers from the same weights with the same loss, so after as many steps they
should rank equally well. Time is the process's processor time: on a shared machine the clock on
the wall says little. Prints a table and, as the last line, JSON.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from recsys.datasets.simulation.run import simulate
from recsys.datasets.simulation.world.settings import SimulationSettings
from recsys.labels.slates import LabelledSlates
from recsys.text.encoder.bert import mean_pooled
from recsys.text.head import InterestModel
from recsys.text.settings import TextSettings
from recsys.text.training.loss import DrawTexts, batch_of, slate_loss
from recsys.text.training.modes.build import encoder_source
from recsys.text.training.modes.encoder_source import EncoderSource
from recsys.text.training.modes.token_table import TokenTable
from recsys.text.training.sampling import Draw, Sampler
from recsys.text.training.text_source import FrozenSource, TextSource, as_frozen, texts_of_slates
from recsys.text.training.validation import validation_ndcg
from recsys.training.data import TrainingData
from recsys.workspace.workspace import Workspace

PLAIN_BATCH = 32
HELD_OUT = 200
"""Slates that are validated on."""

Vectors = Callable[[Draw], tuple[DrawTexts, Tensor]]


@dataclass(frozen=True)
class Result:
    """What a loop did: processor time per slate, and nDCG@10 on slates it did not see."""

    seconds: float
    ndcg: float


def main() -> None:
    """Measure the three loops on a workspace or a simulated shop."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspace", type=Path, nargs="?", help="a small simulated shop if absent")
    parser.add_argument("--steps", type=int, default=6, help="of both loops that train layers")
    parser.add_argument("--head-steps", type=int, default=150)
    parser.add_argument("--batch-slates", type=int, default=32)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        root = arguments.workspace or Path(scratch) / "shop"
        if arguments.workspace is None:
            simulate(root, SimulationSettings.tiny())
        workspace = Workspace.open(root)
        changes = {"batch_slates": arguments.batch_slates, "encoder_dropout": 0.0, "dropout": 0.0}
        text = workspace.config.text.model_copy(update=changes | {"mode": "top_layers"})
        workspace = replace(workspace, config=workspace.config.model_copy(update={"text": text}))
        report(workspace, arguments.steps, arguments.head_steps, Path(scratch) / "cache")


def report(workspace: Workspace, steps: int, head_steps: int, cache: Path) -> None:
    """Run the loops and print what they did."""
    data = TrainingData.open(workspace)
    settings, texts = workspace.config.text, data.texts
    tokens = TokenTable.of(texts.items.to_list(), texts.queries.to_list(), texts.encoder)
    slates = data.slates(workspace.config.periods.text, settings.training_history).slates

    def tuned() -> EncoderSource:
        return encoder_source(settings, texts.encoder, tokens, 0, cache)

    frozen = FrozenSource(texts.vectors)
    ours, plain = tuned(), tuned()
    results = {
        "plain": run(workspace, slates, plain, steps, one_by_one(plain)),
        "top_layers": run(workspace, slates, ours, steps, by_distinct_text(ours)),
        "head": run(workspace, slates, frozen, head_steps, by_distinct_text(frozen)),
    }
    print("| loop | processor ms per slate | steps | nDCG@10 |\n|---|---|---|---|")
    for name, result in results.items():
        count = head_steps if name == "head" else steps
        print(f"| {name} | {1e3 * result.seconds:.2f} | {count} | {result.ndcg:.4f} |")
    print(
        json.dumps(
            {
                "benchmark": "text_training",
                "data": workspace.config.name,
                "batch_slates": settings.batch_slates,
                "layers": settings.layers,
                "top_layers_over_plain": results["plain"].seconds / results["top_layers"].seconds,
                "ndcg_at_10": {name: result.ndcg for name, result in results.items()},
                "head_ms_per_slate": 1e3 * results["head"].seconds,
                "top_layers_ms_per_slate": 1e3 * results["top_layers"].seconds,
                "plain_ms_per_slate": 1e3 * results["plain"].seconds,
            }
        )
    )


def by_distinct_text(source: TextSource) -> Vectors:
    """Encode every distinct text of a draw once, as the product does."""

    def vectors(draw: Draw) -> tuple[DrawTexts, Tensor]:
        where = DrawTexts.of(draw, source.item_text, source.query_text)
        return where, source.vectors(where.texts, training=True)

    return vectors


def one_by_one(source: EncoderSource) -> Vectors:
    """Encode the text of every candidate and every past item of every slate, through all layers."""
    tokens, model = source.tokens, source.merged()

    def vectors(draw: Draw) -> tuple[DrawTexts, Tensor]:
        where = DrawTexts.of(draw, source.item_text, source.query_text)
        uses = [where.candidates, where.past, where.query]
        flat = np.concatenate([use.ravel() for use in uses])
        there = flat < len(where.texts)
        texts = where.texts[flat[there]]
        pieces = []
        for low in range(0, len(texts), PLAIN_BATCH):
            ids, mask = tokens.batch(texts[low : low + PLAIN_BATCH])
            inputs = {
                "input_ids": torch.from_numpy(ids),
                "attention_mask": torch.from_numpy(mask),
            }
            states = model(**inputs).last_hidden_state
            pieces.append(mean_pooled(states, inputs["attention_mask"]))
        place = np.full(len(flat), there.sum())
        place[there] = np.arange(there.sum())
        cut = np.cumsum([use.size for use in uses])[:-1]
        shaped = [p.reshape(u.shape) for p, u in zip(np.split(place, cut), uses, strict=True)]
        return DrawTexts(texts, *shaped), torch.cat(pieces)

    return vectors


def run(
    workspace: Workspace,
    slates: LabelledSlates,
    source: TextSource,
    steps: int,
    vectors: Vectors,
) -> Result:
    """Train for some steps, and say what a slate cost and how well the rest is ranked."""
    settings, gains = workspace.config.text, workspace.config.labels.label_gain
    cut = len(slates) - HELD_OUT
    sampler = Sampler(slates.cut(0, cut), gains, settings, 0)
    torch.manual_seed(0)
    kinds = int(slates.history.kind.max()) + 1
    model = InterestModel(source.dim, kinds, settings.dropout)
    optimiser = optimiser_of(model, source, settings)
    seconds = 0.0
    for step in range(steps):
        started = time.process_time()
        draw = sampler.draw(step)
        where, found = vectors(draw)
        loss = slate_loss(model, batch_of(draw, where, found), settings)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        trained = [each for group in optimiser.param_groups for each in group["params"]]
        torch.nn.utils.clip_grad_norm_(trained, settings.gradient_norm)
        optimiser.step()
        if step:  # the first one warms up
            seconds += time.process_time() - started
    held_out = slates.cut(cut, len(slates))
    texts = texts_of_slates(source, held_out)
    with torch.no_grad():
        frozen = as_frozen(source, texts, source.vectors(texts, training=False).numpy())
    ndcg = validation_ndcg(model.eval(), held_out, frozen, gains)
    return Result(seconds / (steps - 1) / settings.batch_slates, ndcg)


def optimiser_of(
    model: InterestModel, source: TextSource, settings: TextSettings
) -> torch.optim.Optimizer:
    """Give the optimiser of all loops, at a constant rate."""
    return torch.optim.AdamW(
        [
            {"params": list(model.parameters()), "lr": settings.learning_rate},
            {"params": list(source.trainable.values()), "lr": settings.encoder_learning_rate},
        ],
        weight_decay=settings.weight_decay,
    )


if __name__ == "__main__":
    main()
