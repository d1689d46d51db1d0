"""Learning curves: a file of JSON lines, and TensorBoard where it is installed."""

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from data_contracts.storage import write_text
from recsys.text.training.checkpoints import CurvePoint

CURVE, TENSORBOARD = "curve.jsonl", "tensorboard"


ShowCurve = Callable[[Sequence[CurvePoint]], None]
"""Shows a learning curve that has grown by its last point."""


def write_curve(curve: Sequence[CurvePoint], path: Path) -> None:
    """Write a curve, one validation a line, whole or not at all."""
    write_text(path, "".join(f"{p.model_dump_json()}\n" for p in curve))


@contextmanager
def curve_shown(folder: Path | None, first_step: int) -> Iterator[ShowCurve]:
    """Keep a growing curve in a folder.

    Args:
        folder: Where; None shows nothing.
        first_step: Where this run goes on: TensorBoard forgets what an earlier one showed beyond.

    Yields:
        What to call after each validation.
    """
    if folder is None:
        yield lambda _: None
        return
    if importlib.util.find_spec("tensorboard") is None:
        yield lambda curve: write_curve(curve, folder / CURVE)
        return
    from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - an extra

    with SummaryWriter(str(folder / TENSORBOARD), purge_step=first_step) as writer:

        def show(curve: Sequence[CurvePoint]) -> None:
            write_curve(curve, folder / CURVE)
            last = curve[-1].model_dump(exclude={"step"}, exclude_none=True)
            for name, value in last.items():
                writer.add_scalar(name, value, curve[-1].step)
            writer.flush()

        yield show
