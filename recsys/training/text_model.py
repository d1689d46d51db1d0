"""Training the text model of a workspace: the head, and the encoder in the modes that tune it."""

import hashlib
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import torch

from data_contracts.errors import UsageError
from data_contracts.progress import Track, silent
from features.log.log import Log
from recsys.labels.slates import LabelledSlates
from recsys.labels.split import Period, periods
from recsys.text.encoder.bert import TextEncoder, encoder_folder
from recsys.text.settings import Mode, TextSettings
from recsys.text.template import item_texts
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
from recsys.training.slates import read_slates
from recsys.training.texts import Texts
from recsys.workspace.workspace import CACHE, Workspace

TEXT_MODELS, TRAINING = "text_models", "training"


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
    workspace: Workspace,
    log: Log,
    texts: Texts,
    period: Period,
    run: TextRun = TextRun(),
    track: Track = silent,
) -> TextModel:
    """Fine-tune the interest match on the requests of a period.

    Args:
        workspace: The workspace.
        log: The same, opened.
        texts: From `encode_texts`, of the frozen encoder.
        period: Which requests; `periods(...).text` for a model that the ranker may use.
        run: Seed, mode, precision.
        track: Shows progress.

    Returns:
        The trained model, with the last moment its labels know of.
    """
    job = _job(workspace, log, texts, period, run)
    kinds = len(log.kinds)
    source: TextSource = FrozenSource(texts.vectors)
    if job.settings.mode != "head":
        require_precision(run.precision, run.device)
        base, cache = _base_encoder(workspace, run.device), workspace.root / CACHE
        with run.workers.first_alone():
            source = encoder_source(
                job.settings, base, job.tokens, run.seed, cache, run.precision, track
            )
    gains = workspace.config.labels.label_gain
    training = finetune(job.slates, source, gains, kinds, job.settings, job.run, track)
    encoder = source.tuned() if isinstance(source, EncoderSource) else texts.encoder
    record = TextRecord(
        mode=resolved_mode(job.settings),
        seed=run.seed,
        run=job.fingerprint,
        trained_until=training.trained_until,
        base_encoder=texts.encoder.fingerprint,
        encoder=encoder.fingerprint,
        texts=len(job.tokens.texts),
        cut_texts=job.tokens.cut,
        kinds=kinds,
        curve=training.curve,
    )
    return TextModel(training.model, encoder, record, training.slates_per_second)


def train_text_model(
    workspace: Workspace, log: Log, texts: Texts, run: TextRun, track: Track = silent
) -> TextModel:
    """Train the text model of a workspace and keep it for `recsys train`.

    A checkpoint is kept while it runs and goes when it is done; one that is done and would come out
    the same is not trained again when `run.resume` is set.

    Args:
        workspace: The workspace.
        log: The same, opened.
        texts: From `encode_texts`, of the frozen encoder.
        run: Seed, mode, precision; where it works is decided here.
        track: Shows progress.

    Returns:
        The model, which is in `text_models/` too.
    """
    period = _text_period(workspace)
    folder, work = model_folder(workspace, run.seed), work_folder(workspace, run.seed)
    run = replace(run, folder=work)
    if run.resume:
        done = load_text_model(folder, texts.encoder, workspace.config.text.dropout)
        job = _job(workspace, log, texts, period, run)
        if done is not None and done.record.run == job.fingerprint:
            return done
    elif run.workers.first:
        shutil.rmtree(work, ignore_errors=True)
    model = train_text(workspace, log, texts, period, run, track)
    if run.workers.first:
        model.save(folder)
        (work / CHECKPOINT).unlink(missing_ok=True)
    return model


def text_model(
    workspace: Workspace, log: Log, texts: Texts, seed: int, track: Track = silent
) -> TextModel:
    """Give the text model of a seed: the one that `recsys train encoder` left, or a new one.

    Args:
        workspace: The workspace.
        log: The same, opened.
        texts: From `encode_texts`, of the frozen encoder.
        seed: Which.
        track: Shows progress.

    Returns:
        The model.

    Raises:
        UsageError: The one that is there was trained on other tables or settings.
    """
    folder = model_folder(workspace, seed)
    found = load_text_model(folder, texts.encoder, workspace.config.text.dropout)
    if found is None:
        return train_text(workspace, log, texts, _text_period(workspace), TextRun(seed), track)
    if found.record.run not in {
        _job(
            workspace,
            log,
            texts,
            _text_period(workspace),
            TextRun(seed, found.record.mode, precision),
        ).fingerprint
        for precision in ("fp32", "bf16")
    }:
        raise UsageError(
            f"a text model in {folder} that was trained on other tables or settings",
            "one of the tables, [text], [labels] and [split] as they are now",
            f"run `recsys train encoder {workspace.root} --mode {found.record.mode} --seed {seed}` "
            "again, or delete the folder to let `recsys train` do it",
        )
    return found


@dataclass(frozen=True)
class _Job:
    """What a training is made of."""

    slates: LabelledSlates
    tokens: TokenTable
    settings: TextSettings
    run: Run
    fingerprint: str


def _base_encoder(workspace: Workspace, device: str) -> TextEncoder:
    settings = workspace.config.text
    folder = encoder_folder(settings.encoder)
    return TextEncoder.load(folder, max_tokens=settings.max_tokens, device=device)


def _job(workspace: Workspace, log: Log, texts: Texts, period: Period, run: TextRun) -> _Job:
    config = workspace.config
    mode = resolved_mode(config.text, run.mode)
    settings = config.text.model_copy(update={"mode": mode})
    slates = read_slates(workspace, log, texts.queries, period, settings.training_history).slates
    columns = workspace.scan("items").select(settings.template).collect()
    items = item_texts(columns, settings.template, settings.limits)
    seen = texts.backend if mode == "head" else texts.encoder
    inputs = _hash(items, texts.queries, seen.fingerprint, run.precision)
    loop = Run(run.seed, run.folder, run.resume, inputs, run.workers)
    return _Job(
        slates,
        TokenTable.of(items.to_list(), texts.queries.to_list(), texts.encoder),
        settings,
        loop,
        fingerprint_of(slates, config.labels.label_gain, settings, loop),
    )


def _hash(items: pl.Series, queries: pl.Series, *names: str) -> str:
    digest = hashlib.sha256("\n".join(names).encode())
    for texts in (items, queries):
        digest.update("\0".join(texts.to_list()).encode("utf-8", "replace"))
    return digest.hexdigest()


def _text_period(workspace: Workspace) -> Period:
    config = workspace.config
    return periods(config.split, config.labels.attribution_window_hours).text


def model_folder(workspace: Workspace, seed: int) -> Path:
    """Give the folder of the text model that `recsys train encoder` leaves for a seed."""
    return workspace.root / TEXT_MODELS / f"seed-{seed}"


def work_folder(workspace: Workspace, seed: int) -> Path:
    """Give the folder of checkpoint and learning curve of a seed's training."""
    return workspace.root / TRAINING / f"seed-{seed}"
