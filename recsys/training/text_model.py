"""Training of a workspace's text model: the head, and the encoder in the modes that tune it."""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
import torch

from data_contracts.errors import UsageError
from data_contracts.progress import Track, silent
from recsys.labels.slates import LabelledSlates
from recsys.labels.split import Period
from recsys.text.encoder.bert import TextEncoder, encoder_folder
from recsys.text.settings import Mode, TextSettings
from recsys.text.training.checkpoints import CHECKPOINT
from recsys.text.training.loop import Run, finetune, fingerprint_of
from recsys.text.training.model import TextModel, TextRecord, load_text_model
from recsys.text.training.modes.build import encoder_source
from recsys.text.training.modes.encoder_source import (
    EncoderSource,
    TrainingPrecision,
    require_precision,
)
from recsys.text.training.modes.token_table import TokenTable
from recsys.text.training.text_source import FrozenSource, TextSource
from recsys.text.training.workers import ALONE, Workers
from recsys.training.data import TrainingData
from recsys.training.texts import Texts


@dataclass(frozen=True)
class TextRun:
    """How the text model is trained, apart from what `[text]` says.

    Attributes:
        seed: Seeds everything drawn.
        mode: Instead of the mode in `[text]`.
        precision: What the encoder's layers compute in.
        device: Where they run.
        folder: For checkpoints and the learning curve; None keeps neither.
        resume: Go on from the checkpoint there, if there is one.
        workers: This worker among others.
    """

    seed: int = 0
    mode: Mode | None = None
    precision: TrainingPrecision = "fp32"
    device: str = "cpu"
    folder: Path | None = None
    resume: bool = False
    workers: Workers = ALONE


def resolved_mode(settings: TextSettings, asked: Mode | None = None) -> Mode:
    """Say which mode is meant: `auto` is `full` with a GPU and `head` without."""
    mode = asked or settings.mode
    if mode != "auto":
        return mode
    return "full" if torch.cuda.is_available() else "head"


def train_text(
    data: TrainingData,
    period: Period,
    run: TextRun = TextRun(),
    track: Track = silent,
    withheld: np.ndarray | None = None,
) -> TextModel:
    """Fine-tune the interest match on the requests of a period.

    Args:
        data: The workspace's data, with the vectors of the frozen encoder.
        period: Which requests; `config.periods.text` for a model that the ranker may use.
        run: Seed, mode, precision.
        track: Shows progress.
        withheld: Items that are taken out of the requests, bool [n_items]; None for none.

    Returns:
        The trained model, with the last moment its labels know of.
    """
    return _train(data, _job(data, period, run, withheld), track)


def train_text_model(data: TrainingData, run: TextRun, track: Track = silent) -> TextModel:
    """Train the text model of a workspace and keep it for `recsys train`.

    A checkpoint is kept while it runs and goes when it is done; one that is done and would come out
    the same is not trained again when `run.resume` is set.

    Args:
        data: The workspace's data, with the vectors of the frozen encoder.
        run: Seed, mode, precision; where it works is decided here.
        track: Shows progress.

    Returns:
        The model, which is in `text_models/` too.
    """
    workspace = data.workspace
    folder, work = workspace.text_model(run.seed), workspace.text_training(run.seed)
    job = _job(data, data.config.periods.text, replace(run, folder=work))
    if run.resume:
        done = load_text_model(folder, data.texts.encoder, data.config.text.dropout)
        if done is not None and done.record.run == job.fingerprint(run.precision):
            return done
    elif run.workers.first:
        shutil.rmtree(work, ignore_errors=True)
    model = _train(data, job, track)
    if run.workers.first:
        model.save(folder)
        (work / CHECKPOINT).unlink(missing_ok=True)
    return model


def mode_of_training(data: TrainingData, seed: int) -> Mode:
    """Say in which mode `recsys train` makes a seed's text model: that of the one left for it."""
    folder = data.workspace.text_model(seed)
    found = load_text_model(folder, data.texts.encoder, data.config.text.dropout)
    return resolved_mode(data.config.text, found.record.mode if found else None)


def text_model(data: TrainingData, seed: int, track: Track = silent) -> TextModel:
    """Give the text model of a seed: the one that `recsys train encoder` left, or a new one.

    Args:
        data: The workspace's data, with the vectors of the frozen encoder.
        seed: The seed.
        track: Shows progress.

    Returns:
        The model.

    Raises:
        UsageError: The one that is there was trained on other tables or settings.
    """
    folder, period = data.workspace.text_model(seed), data.config.periods.text
    found = load_text_model(folder, data.texts.encoder, data.config.text.dropout)
    if found is None:
        return train_text(data, period, TextRun(seed), track)
    mode = found.record.mode
    job = _job(data, period, TextRun(seed, mode))
    if found.record.run not in {job.fingerprint(each) for each in get_args(TrainingPrecision)}:
        raise UsageError(
            f"a text model in {folder} that was trained on other tables or settings",
            "one of the tables, [text], [labels] and [split] as they are now",
            f"run `recsys train encoder {data.workspace.root} --mode {mode} --seed {seed}` "
            "again, or delete the folder to let `recsys train` do it",
        )
    return found


@dataclass(frozen=True)
class _Job:
    """What a training is made of.

    Attributes:
        slates: The requests to learn from.
        tokens: Item texts and queries.
        settings: `[text]`, its mode decided.
        gains: Gain of each grade.
        run: Seed, precision, place.
        texts: Item texts and queries, as the frozen encoder has them.
    """

    slates: LabelledSlates
    tokens: TokenTable
    settings: TextSettings
    gains: Sequence[float]
    run: TextRun
    texts: Texts

    def loop(self, precision: TrainingPrecision) -> Run:
        """Give the settings of the training loop."""
        run, texts = self.run, self.texts
        encoder = texts.backend if self.settings.mode == "head" else texts.encoder
        inputs = hashlib.sha256(f"{encoder.fingerprint}\n{precision}".encode())
        for each in (texts.items, texts.queries):
            inputs.update("\0".join(each.to_list()).encode("utf-8", "replace"))
        return Run(run.seed, run.folder, run.resume, inputs.hexdigest(), run.workers)

    def fingerprint(self, precision: TrainingPrecision) -> str:
        """Hash everything that decides what comes out."""
        return fingerprint_of(self.slates, self.gains, self.settings, self.loop(precision))


def _job(
    data: TrainingData, period: Period, run: TextRun, withheld: np.ndarray | None = None
) -> _Job:
    config, texts = data.config, data.texts
    mode = resolved_mode(config.text, run.mode)
    settings = config.text.model_copy(update={"mode": mode})
    slates = data.slates(period, settings.training_history).slates
    if withheld is not None:
        slates = slates.only(~slates.of_items(withheld))
    return _Job(
        slates,
        TokenTable.of(texts.items.to_list(), texts.queries.to_list(), texts.encoder),
        settings,
        config.labels.label_gain,
        run,
        texts,
    )


def _train(data: TrainingData, job: _Job, track: Track) -> TextModel:
    run, texts, kinds = job.run, data.texts, len(data.log.kinds)
    source: TextSource = FrozenSource(texts.vectors)
    if job.settings.mode != "head":
        require_precision(run.precision, run.device)
        folder = encoder_folder(job.settings.encoder)
        base = TextEncoder.load(folder, max_tokens=job.settings.max_tokens, device=run.device)
        with run.workers.first_alone():
            source = encoder_source(
                job.settings,
                base,
                job.tokens,
                run.seed,
                data.workspace.cache,
                run.precision,
                track,
            )
    loop = job.loop(run.precision)
    training = finetune(job.slates, source, job.gains, kinds, job.settings, loop, track)
    encoder = source.tuned() if isinstance(source, EncoderSource) else texts.encoder
    record = TextRecord(
        mode=resolved_mode(job.settings),
        seed=run.seed,
        run=job.fingerprint(run.precision),
        trained_until=training.trained_until,
        base_encoder=texts.encoder.fingerprint,
        encoder=encoder.fingerprint,
        texts=len(job.tokens.texts),
        cut_texts=job.tokens.cut,
        kinds=kinds,
        curve=training.curve,
    )
    return TextModel(training.model, encoder, record, training.slates_per_second)
