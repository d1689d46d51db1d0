"""The training loop of the interest match, the same for every mode and number of workers."""

import copy
import hashlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from data_contracts.errors import DataError
from data_contracts.progress import Track, silent
from recsys.labels.slates import LabelledSlates
from recsys.labels.supply import Supply
from recsys.text.head import InterestModel
from recsys.text.settings import TextSettings, held_out
from recsys.text.training.checkpoints import (
    Checkpoint,
    CurvePoint,
    Progress,
    copied,
    copy_into,
    load_checkpoint,
    optimiser_state,
    restore,
    save_checkpoint,
)
from recsys.text.training.curves import ShowCurve, curve_shown
from recsys.text.training.determinism import exact, learning_rate_factor, step_seed
from recsys.text.training.loss import DrawTexts, batch_of, slate_loss
from recsys.text.training.sampling import Sampler
from recsys.text.training.text_source import (
    FrozenSource,
    FrozenVectors,
    TextSource,
    as_frozen,
    texts_of_slates,
)
from recsys.text.training.validation import validation_ndcg
from recsys.text.training.workers import ALONE, Workers

"""Slates that decide on early stopping, at the most: the last ones before the end of the period."""


@dataclass(frozen=True)
class Run:
    """Seed, folder and workers of a training; only the seed changes what is learned.

    Attributes:
        seed: Seeds the draws, the dropout and the initial weights.
        folder: For checkpoints and the learning curve; None keeps neither.
        resume: Go on from the checkpoint in the folder, if there is one.
        inputs: Hash of what else decides the result: the encoder, the mode, the texts.
        workers: This worker among others.
    """

    seed: int = 0
    folder: Path | None = None
    resume: bool = False
    inputs: str = ""
    workers: Workers = ALONE


@dataclass(frozen=True)
class TextTraining:
    """The result of a fine-tuning; a trainable source keeps its best weights too.

    Attributes:
        model: The head with the best validation nDCG@10.
        curve: The validations.
        trained_until: The last instant whose events may have decided a label, UTC microseconds.
        slates_per_second: Of this run's steps, validation and checkpoints left out.
    """

    model: InterestModel
    curve: tuple[CurvePoint, ...]
    trained_until: int
    slates_per_second: float = 0.0


def finetune(
    slates: LabelledSlates,
    source: TextSource,
    gains: Sequence[float],
    kinds: int,
    settings: TextSettings,
    run: Run,
    track: Track = silent,
) -> TextTraining:
    """Train the head, and what the source lets be trained, on slates whose labels are final.

    Args:
        slates: Requests before the end of the text model's period, in order of time.
        source: Where vectors come from.
        gains: Gain of each grade.
        kinds: Number of kinds of interaction in the histories.
        settings: Steps, batches, learning rates.
        run: Seed, folder and workers.
        track: Shows progress.

    Returns:
        The best head.

    Raises:
        DataError: Too few slates have both a positive and a negative with text, or the last ones
            have no positive.
        UsageError: The checkpoint to go on from is of another run.
    """
    cut = len(slates) - held_out(len(slates))
    last = slates.cut(cut, len(slates))
    with exact(one_thread=not source.trainable):
        sampler = Sampler(slates.cut(0, cut), gains, settings, run.seed)
        lack = Supply.of(last.rows.offsets, np.asarray(gains)[last.grade]).lack()
        if lack is not None:
            raise DataError(
                f"among the last slates of the text model's period: {lack.found}",
                "some to decide on early stopping by",
                lack.advice,
            )
        loop = _Loop(sampler, last, source, gains, kinds, settings, run)
        name = fingerprint_of(slates, gains, settings, run)
        found = load_checkpoint(run.folder, name) if run.resume and run.folder else None
        speed = loop.go(found, name, track)
    model = loop.model.eval().cpu()
    return TextTraining(model, tuple(loop.curve), slates.labels_end, speed)


def fingerprint_of(
    slates: LabelledSlates, gains: Sequence[float], settings: TextSettings, run: Run
) -> str:
    """Hash everything that the result of a training depends on, 16 hexadecimal digits."""
    digest = hashlib.sha256(f"{settings.model_dump_json()} {list(gains)} {run.seed}".encode())
    digest.update(run.inputs.encode())
    rows, history = slates.rows, slates.history
    weight = [slates.weight] if slates.aggregated else []
    for array in (
        *(rows.request_time, rows.offsets, rows.item, slates.text, slates.grade, slates.query),
        *weight,
        *(history.starts, history.item, slates.past_text, history.kind, history.time),
    ):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


class _Loop:
    """A training under way: weights, optimiser, learning curve, early stopping."""

    def __init__(
        self,
        sampler: Sampler,
        held_out: LabelledSlates,
        source: TextSource,
        gains: Sequence[float],
        kinds: int,
        settings: TextSettings,
        run: Run,
    ) -> None:
        self.sampler, self.held_out, self.source = sampler, held_out, source
        self.gains, self.settings, self.run = gains, settings, run
        torch.manual_seed(run.seed)
        self.model = InterestModel(source.dim, kinds, settings.dropout, settings.dimensions).to(
            source.device
        )
        head, encoder = dict(self.model.named_parameters()), source.trainable
        self.parameters = {f"head.{name}": parameter for name, parameter in head.items()}
        self.parameters |= {f"encoder.{name}": parameter for name, parameter in encoder.items()}
        self.peaks = settings.learning_rate, settings.encoder_learning_rate
        self.optimiser = torch.optim.AdamW(
            [{"params": list(part.values())} for part in (head, encoder)],
            weight_decay=settings.weight_decay,
        )
        self.curve: list[CurvePoint] = []
        self.best: Mapping[str, Tensor] = {}
        self.since = 0
        self.losses: list[float] = []

    def go(self, found: Checkpoint | None, name: str, track: Track) -> float:
        """Train to the end from the start or a checkpoint; give the slates per second."""
        first = self._begin(found)
        steps, folder = self.settings.steps, self.run.folder if self.run.workers.first else None
        worked, done = 0.0, 0
        with curve_shown(folder, first) as show:
            if found is None:
                self.model.begin_along(self._held_out_vectors().items)
                self._check(0, show)
            label = "Fine-tuning the text model"
            for step in track(range(first + 1, steps + 1), label, steps - first):
                if self.since >= self.settings.patience:
                    break
                started = time.perf_counter()
                self._step(step)
                worked, done = worked + time.perf_counter() - started, done + 1
                if step % self.settings.check_every == 0 or step == steps:
                    self._check(step, show)
                    self._keep(step, name, folder)
        copy_into(self.parameters, self.best)
        slates = done * self.settings.batch_slates * self.settings.accumulation
        return slates / worked if worked else 0.0

    def _begin(self, found: Checkpoint | None) -> int:
        if found is None:
            return 0
        restore(found, self.optimiser, self.parameters)
        self.best = {
            name: found.best[name].to(parameter.device)
            for name, parameter in self.parameters.items()
        }
        self.curve, self.since = list(found.progress.curve), found.progress.since
        return found.progress.step

    def _step(self, step: int) -> None:
        settings, workers = self.settings, self.run.workers
        # A seed of its own for every step and worker, so that a step depends on nothing before it.
        torch.manual_seed(step_seed(self.run.seed, step, workers.rank))
        self.model.train()
        rate = learning_rate_factor(step, settings)
        for group, peak in zip(self.optimiser.param_groups, self.peaks, strict=True):
            group["lr"] = peak * rate
        self.optimiser.zero_grad()
        total = 0.0
        for turn in range(settings.accumulation):
            loss = self._loss((step - 1) * settings.accumulation + turn) / settings.accumulation
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        workers.add_gradients(self.parameters.values())
        nn.utils.clip_grad_norm_(self.parameters.values(), settings.gradient_norm)
        self.optimiser.step()
        self.losses.append(workers.total(total))

    def _loss(self, number: int) -> Tensor:
        workers, source = self.run.workers, self.source
        draw = self.sampler.draw(number)
        where = DrawTexts.of(draw, source.item_text, source.query_text)
        if source.trainable:
            vectors = self._shared(where.texts, training=True)
        else:
            vectors = source.vectors(where.texts, training=True)
        batch = batch_of(draw, where, vectors)
        return slate_loss(self.model, batch, self.settings, workers.slates(len(draw.gain)))

    def _shared(self, texts: np.ndarray, *, training: bool) -> Tensor:
        """Encode this worker's share of some texts, and give the vectors of all."""
        own = self.run.workers.texts(self.source.lengths(texts))
        vectors = self.source.vectors(texts[own], training=training)
        return self.run.workers.together(vectors, own, len(texts))

    def _check(self, step: int, show: ShowCurve) -> None:
        model = copy.deepcopy(self.model).cpu()
        ndcg = validation_ndcg(model, self.held_out, self._held_out_vectors(), self.gains)
        better = not self.curve or ndcg > max(p.validation_ndcg_at_10 for p in self.curve)
        self.since = 0 if better else self.since + 1
        if better:
            self.best = copied(self.parameters)
        mean = math.fsum(self.losses) / len(self.losses) if self.losses else None
        self.losses = []
        rate = self.settings.learning_rate * learning_rate_factor(step, self.settings)
        self.curve.append(
            CurvePoint(step=step, loss=mean, learning_rate=rate, validation_ndcg_at_10=ndcg)
        )
        show(self.curve)

    def _held_out_vectors(self) -> FrozenVectors:
        if isinstance(self.source, FrozenSource):
            return self.source.frozen
        texts = texts_of_slates(self.source, self.held_out)
        with torch.no_grad():
            vectors = self._shared(texts, training=False).float().cpu().numpy()
        return as_frozen(self.source, texts, vectors)

    def _keep(self, step: int, name: str, folder: Path | None) -> None:
        if folder is None:
            return
        progress = Progress(run=name, step=step, since=self.since, curve=tuple(self.curve))
        state = optimiser_state(self.optimiser, self.parameters)
        save_checkpoint(Checkpoint(progress, copied(self.parameters), self.best, state), folder)
