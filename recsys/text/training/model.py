"""A trained text model: the head, the encoder it belongs to, and what it was made from."""

from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field

from data_contracts.array_file import ArrayFormat
from data_contracts.errors import DataError, UsageError
from data_contracts.storage import atomic_folder
from recsys.text.encoder.bert import TextEncoder
from recsys.text.head import InterestModel
from recsys.text.settings import Mode
from recsys.text.training.checkpoints import CurvePoint
from recsys.text.training.curves import CURVE, write_curve

HEAD, ENCODER = "head.safetensors", "encoder"
FORMAT = ArrayFormat("a text model", 2, "run `recsys train encoder` again, or delete the folder")
_RECORD = "record"


class TextRecord(BaseModel):
    """What a text model says of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Mode
    seed: int
    run: str = Field(description="Hash of all that decides the result.")
    trained_until: int = Field(
        description="Last instant whose events may have decided a label, UTC microseconds."
    )
    base_encoder: str = Field(description="Fingerprint of the encoder it began from.")
    encoder: str = Field(description="Fingerprint of the encoder whose vectors the head takes.")
    texts: int = Field(description="Distinct texts of items and queries.")
    cut_texts: int = Field(description="Texts of which the encoder reads the beginning only.")
    kinds: int = Field(description="Kinds of interaction in a history.")
    curve: tuple[CurvePoint, ...]

    @property
    def validation_ndcg(self) -> float:
        """The best validation nDCG@10."""
        return max(point.validation_ndcg_at_10 for point in self.curve)


@dataclass(frozen=True)
class TextModel:
    """A head and the encoder it was trained with.

    Attributes:
        model: The head.
        encoder: Frozen or tuned, as `record.mode` says.
        record: What it was made from.
        slates_per_second: Of the training; 0 when it was read from disk.
    """

    model: InterestModel
    encoder: TextEncoder
    record: TextRecord
    slates_per_second: float = 0.0

    def save(self, folder: Path) -> None:
        """Write the model, whole or not at all; an encoder that is not tuned is left out."""
        with atomic_folder(folder) as part:
            write_curve(self.record.curve, part / CURVE)
            weights = {name: t.cpu().numpy() for name, t in self.model.state_dict().items()}
            FORMAT.write(part / HEAD, weights, {_RECORD: self.record.model_dump(mode="json")})
            if self.record.encoder != self.record.base_encoder:
                (part / ENCODER).mkdir()
                self.encoder.save(part / ENCODER)


def load_text_model(folder: Path, base: TextEncoder, dropout: float) -> TextModel | None:
    """Read a text model.

    Args:
        folder: Where `save` wrote.
        base: The frozen encoder that the settings name.
        dropout: Of the head, should it be trained on.

    Returns:
        The model; None when there is none.

    Raises:
        DataError: A file cannot be read, or is not of this model.
        UsageError: It began from another encoder.
    """
    if not folder.exists():
        return None
    with FORMAT.reading(folder / HEAD) as file:
        record = TextRecord.model_validate(file.head[_RECORD])
        weights = {name: torch.from_numpy(array) for name, array in file.part("").items()}
    if record.base_encoder != base.fingerprint:
        raise UsageError(
            f"a text model from encoder {record.base_encoder} in {folder}",
            f"one from encoder {base.fingerprint}, which [text] in recsys.toml names",
            FORMAT.action,
        )
    encoder = base
    if record.encoder != record.base_encoder:
        encoder = TextEncoder.load(folder / ENCODER, max_tokens=base.max_tokens, device=base.device)
    if encoder.fingerprint != record.encoder:
        raise DataError(
            f"encoder {encoder.fingerprint} in {folder}", f"encoder {record.encoder}", FORMAT.action
        )
    head = InterestModel(encoder.dim, record.kinds, dropout, len(weights["default"]))
    head.load_state_dict(weights)
    return TextModel(head.eval(), encoder, record)
