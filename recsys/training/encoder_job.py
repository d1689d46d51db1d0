"""The job of `recsys train encoder`: the text model alone, in one process or through Ray Train."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from data_contracts.errors import DataError, UsageError
from data_contracts.progress import Track, silent
from features.backfill.cluster import join_cluster
from recsys.text.settings import Mode
from recsys.text.training.model import TextModel, load_text_model
from recsys.text.training.modes.encoder_source import require_precision
from recsys.text.training.workers import Workers
from recsys.training.data import TrainingData
from recsys.training.text_model import TextRun, resolved_mode, train_text_model
from recsys.workspace.backfill import log_facts
from recsys.workspace.fitness import ENCODER
from recsys.workspace.workspace import Workspace


class EncoderTraining(BaseModel):
    """What a training of the text model is asked for with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Mode | None = None
    seed: int = 0
    resume: bool = False
    precision: Literal["fp32", "bf16"] = "fp32"
    device: str | None = None
    workers: int = 1

    @classmethod
    def checked(cls, asked: dict[str, object]) -> "EncoderTraining":
        """Check what a person asked for.

        Args:
            asked: Values by field.

        Returns:
            The same.

        Raises:
            UsageError: A value is none of the field's.
        """
        try:
            return cls.model_validate(asked)
        except ValidationError as error:
            fault = error.errors()[0]
            raise UsageError(
                f"--{fault['loc'][0]} {fault['input']}",
                fault["msg"].removeprefix("Input should be "),
                "see `recsys train encoder --help`",
            ) from error

    @property
    def place(self) -> str:
        """Where it runs: a GPU when there is one and nothing else is asked for."""
        return self.device or ("cuda" if torch.cuda.is_available() else "cpu")

    def run(self, workers: Workers) -> TextRun:
        """Give one worker's part."""
        return TextRun(
            self.seed, self.mode, self.precision, self.place, resume=self.resume, workers=workers
        )


def train_and_tell(root: Path, asked: EncoderTraining, track: Track = silent) -> Iterator[str]:
    """Train the text model of a workspace, and say in sentences what came of it.

    Args:
        root: The workspace.
        asked: Mode, seed and where to run.
        track: Shows progress; with several workers, none.

    Yields:
        Sentences.
    """
    workspace = Workspace.open(root)
    require_precision(asked.precision, asked.place)
    mode = resolved_mode(workspace.config.text, asked.mode)
    data = TrainingData.open(workspace, track, ENCODER)
    yield from log_facts(data.log)
    if asked.workers == 1:
        yield f"mode {mode} on {asked.place}"
        model = train_text_model(data, asked.run(Workers()), track)
    else:
        yield f"mode {mode} on {asked.place}, {asked.workers} workers"
        _by_several(root, asked)
        found = load_text_model(
            workspace.text_model(asked.seed), data.texts.encoder, workspace.config.text.dropout
        )
        if found is None:
            raise DataError(
                f"no text model in {root}", "the one that the workers wrote", "see their output"
            )
        model = found
    yield from _sentences(workspace, model)


def _sentences(workspace: Workspace, model: TextModel) -> Iterator[str]:
    record = model.record
    first, best = record.curve[0].validation_ndcg_at_10, record.validation_ndcg
    steps = record.curve[-1].step
    speed = f", {model.slates_per_second:.0f} slates/s" if model.slates_per_second else ""
    yield f"{steps} steps{speed}; validation nDCG@10 {first:.3f} -> {best:.3f}"
    yield (
        f"{record.cut_texts:,} of {record.texts:,} texts are longer than "
        f"{workspace.config.text.max_tokens} tokens and were cut"
    )
    yield (
        f"wrote {workspace.text_model(record.seed)}; "
        f"learning curve in {workspace.text_training(record.seed)}; "
        f"`recsys train {workspace.root}` takes it from here"
    )


def _by_several(root: Path, asked: EncoderTraining) -> None:
    """Train with Ray Train: the same loop in every worker, the first one writes.

    Args:
        root: The workspace.
        asked: Mode, seed, workers.

    Raises:
        UsageError: Ray Train is not installed.
    """
    try:
        from ray.train import RunConfig, ScalingConfig  # noqa: PLC0415
        from ray.train.torch import TorchConfig, TorchTrainer  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(
            f"--workers {asked.workers} without Ray Train ({error})",
            "the extra several-workers",
            "pip install 'recsys[several-workers]', or train with one worker",
        ) from error

    gpu = torch.device(asked.place).type == "cuda"
    with join_cluster(), tempfile.TemporaryDirectory() as results:
        trainer = TorchTrainer(
            _worker,
            train_loop_config={"root": str(root.absolute()), "asked": asked.model_dump()},
            scaling_config=ScalingConfig(num_workers=asked.workers, use_gpu=gpu),
            torch_config=TorchConfig(backend="cpu:gloo,cuda:nccl" if gpu else "gloo"),
            run_config=RunConfig(name="text-model", storage_path=results),
        )
        trainer.fit()


def _worker(config: dict[str, Any]) -> None:
    """Run one worker's part."""
    from ray import train  # noqa: PLC0415
    from ray.train.torch import get_device  # noqa: PLC0415

    context = train.get_context()
    device = str(get_device())
    asked = EncoderTraining.model_validate(config["asked"] | {"device": device})
    workers = Workers(context.get_world_rank(), context.get_world_size(), device)
    data = TrainingData.open(Workspace.open(Path(config["root"])), parts=ENCODER)
    train_text_model(data, asked.run(workers))
