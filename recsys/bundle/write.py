"""Writes a bundle whole or not at all."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from recsys.bundle.bundle import (
    _POINTS,
    CALIBRATION,
    INTEREST,
)
from recsys.ranker.calibration import Calibration
from recsys.text.signals import TextSignals


def save_signals(signals: TextSignals, folder: Path) -> None:
    """Write the catalogue as the text model sees it."""
    table = signals.interest
    arrays = {
        "items": table.items,
        "past": table.past,
        "logits": table.logits,
    }
    weights = {f"weights.{name}": array for name, array in table.weights.items()}
    contiguous = {name: np.ascontiguousarray(array) for name, array in (arrays | weights).items()}
    save_file(contiguous, folder / INTEREST)


def save_calibrations(by_name: Mapping[str, Calibration], folder: Path) -> None:
    """Write the points of the calibrations."""
    content = {
        name: dict(zip(_POINTS, (c.scores.tolist(), c.probabilities.tolist()), strict=True))
        for name, c in by_name.items()
    }
    (folder / CALIBRATION).write_text(json.dumps(content), encoding="utf-8")
