"""Checkpoints of a training: its weights and optimiser as arrays, its progress in the head.

What is drawn and dropped at a step follows from the seed and the step, so there is no state of a
random generator to keep: the step says it all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from data_contracts.array_file import ArrayFormat
from data_contracts.errors import UsageError

CHECKPOINT = "checkpoint.safetensors"
_PROGRESS, _PARTS = "progress", ("weights", "best", "optimiser")
FORMAT = ArrayFormat("a checkpoint of a training", 2, "delete it and train anew")


class CurvePoint(BaseModel):
    """One validation: a line of the learning curve."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int
    loss: float | None = Field(description="Mean since the validation before; null at the start.")
    learning_rate: float = Field(description="Of the head, at this step.")
    validation_ndcg_at_10: float


class Progress(BaseModel):
    """How far a training is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str = Field(description="Hash of all that decides the result.")
    step: int = Field(description="Steps done.")
    since: int = Field(description="Validations without a gain.")
    curve: tuple[CurvePoint, ...]


@dataclass(frozen=True)
class Checkpoint:
    """Everything a training goes on from.

    Attributes:
        progress: How far it is.
        weights: What is being trained, by name.
        best: The same at the best validation.
        optimiser: State of AdamW, by parameter and name with a slash between.
    """

    progress: Progress
    weights: Mapping[str, Tensor]
    best: Mapping[str, Tensor]
    optimiser: Mapping[str, Tensor]


def save_checkpoint(checkpoint: Checkpoint, folder: Path) -> None:
    """Write a checkpoint in the place of the one before, whole or not at all."""
    arrays = {
        f"{part}/{name}": tensor.detach().cpu().numpy()
        for part in _PARTS
        for name, tensor in getattr(checkpoint, part).items()
    }
    FORMAT.write(folder / CHECKPOINT, arrays, {_PROGRESS: checkpoint.progress.model_dump()})


def load_checkpoint(folder: Path, run: str) -> Checkpoint | None:
    """Read the checkpoint of a run.

    Args:
        folder: Where `save_checkpoint` wrote.
        run: Hash of all that decides the result.

    Returns:
        The checkpoint; None when there is none.

    Raises:
        DataError: The file cannot be read.
        UsageError: It is of another run: data, settings, seed or encoder have changed.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    with FORMAT.reading(path) as file:
        progress = Progress.model_validate(file.head[_PROGRESS])
        parts = [
            {name: torch.from_numpy(array) for name, array in file.part(f"{part}/").items()}
            for part in _PARTS
        ]
    if progress.run != run:
        raise UsageError(
            f"a checkpoint of run {progress.run} in {folder}",
            f"run {run}: the same tables, settings, mode, seed and encoder",
            "restore what has changed, or train without --resume",
        )
    return Checkpoint(progress, *parts)


def optimiser_state(
    optimiser: torch.optim.Optimizer, parameters: Mapping[str, torch.nn.Parameter]
) -> dict[str, Tensor]:
    """Give what the optimiser knows of each parameter."""
    return {
        f"{name}/{key}": tensor
        for name, parameter in parameters.items()
        if parameter in optimiser.state
        for key, tensor in optimiser.state[parameter].items()
    }


def restore(
    checkpoint: Checkpoint,
    optimiser: torch.optim.Optimizer,
    parameters: Mapping[str, torch.nn.Parameter],
) -> None:
    """Put weights and optimiser back to where a checkpoint left them."""
    copy_into(parameters, checkpoint.weights)
    for path, tensor in checkpoint.optimiser.items():
        name, _, key = path.rpartition("/")
        parameter = parameters[name]
        # AdamW keeps the number of steps on the CPU, wherever the parameter is.
        device = "cpu" if key == "step" else parameter.device
        optimiser.state[parameter][key] = tensor.to(device)


def copy_into(parameters: Mapping[str, torch.nn.Parameter], weights: Mapping[str, Tensor]) -> None:
    """Overwrite parameters in place."""
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])


def copied(parameters: Mapping[str, torch.nn.Parameter]) -> dict[str, Tensor]:
    """Copy parameters as they are now."""
    return {name: parameter.detach().clone() for name, parameter in parameters.items()}
