"""Manifests of a bundle's version: of its model and of its state, with a hash of every file."""

import hashlib
import importlib.metadata
import json
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data_contracts.errors import BundleError
from data_contracts.storage import file_hash

FORMAT, STATE_FORMAT = 5, 1
MANIFEST = "manifest.json"
TRAIN_AGAIN = "train the bundle with this version of recsys"
COPY_AGAIN = "copy the bundle again, or train it anew"
_LIBRARIES = ("torch", "transformers", "lightgbm", "polars", "numpy", "safetensors")


class CutOffs(BaseModel):
    """The moments that decide what each part has seen."""

    model_config = ConfigDict(frozen=True)

    text_trained_until: datetime = Field(description="No later event decided a text label.")
    ranker_from: datetime = Field(description="First request the ranker learned from.")
    ranker_until: datetime = Field(description="No later event decided a label of the ranker.")
    validation_until: datetime = Field(
        description="No later event decided a label of early stopping or calibration."
    )


class Manifest(BaseModel):
    """The content of `model/manifest.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = Field(description="Version of the format of bundles.")
    name: str = Field(description="Name of the bundle: the policy of its answers.")
    created_at: datetime
    data: str = Field(description="Name of the data set.")
    data_origin: str
    slate_source: str
    note: str
    seed: int
    text_mode: str = Field(description="What of the text model was trained: `head`, ..., `full`.")
    encoder_fingerprint: str = Field(
        description="Hash of weights, tokenizer and text length, with what computes the vectors."
    )
    cut_texts: int = Field(0, description="Items whose text is longer than the encoder reads.")
    schema_hash: str = Field(description="Hash of what the feature columns mean.")
    features: list[str] = Field(description="Columns of the ranker without text.")
    cut_offs: CutOffs
    metrics: dict[str, float] = Field(description="nDCG@10 on the validation period, by model.")
    libraries: dict[str, str] = Field(description="Versions it was made with.")
    files: dict[str, str] = Field(description="SHA-256 of every other file.")

    @property
    def fingerprint(self) -> str:
        """Hash of the model's content: the same parts have the same fingerprint."""
        return short_hash(self.format, sorted(self.files.items()))


class StateManifest(BaseModel):
    """The content of `state/manifest.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = Field(description="Version of this form.")
    as_of: datetime = Field(description="Histories and counters know all before this.")
    log_offset: int | None = Field(
        description="The event log is folded in up to here; null when made from tables."
    )
    schema_hash: str = Field(description="Hash of the feature columns it was kept for.")
    encoder_fingerprint: str = Field(description="Encoder of the vectors of its queries.")
    files: dict[str, str] = Field(description="SHA-256 of every other file.")

    @property
    def digest(self) -> str:
        """Hash of the state's content, and of what this says of it."""
        return short_hash(self.model_dump(mode="json"))


def short_hash(*content: object) -> str:
    """Hash JSON values, whatever the order of keys, to 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def library_versions() -> dict[str, str]:
    """Give the versions of the libraries a bundle depends on."""
    return {name: importlib.metadata.version(name) for name in _LIBRARIES}


def file_hashes(folder: Path) -> dict[str, str]:
    """Hash every file of a folder but its manifest, by path within it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: file_hash(path) for name, path in names.items() if name != MANIFEST}


def read_manifest(model: Path) -> Manifest:
    """Read the manifest of a version's `model/`, without its parts.

    Args:
        model: The folder.

    Returns:
        Its manifest.

    Raises:
        BundleError: There is no manifest, or one of another format.
    """
    return _read(model / MANIFEST, Manifest, FORMAT)


def read_state_manifest(state: Path) -> StateManifest:
    """Read the manifest of a version's `state/`, without its parts.

    Args:
        state: The folder.

    Returns:
        Its manifest.

    Raises:
        BundleError: There is no manifest, or one of another format.
    """
    return _read(state / MANIFEST, StateManifest, STATE_FORMAT)


M = TypeVar("M", bound=BaseModel)


def _read(path: Path, form: type[M], expected: int) -> M:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise BundleError(
            f"no {MANIFEST} in {path.parent}",
            "a folder that `recsys train` wrote",
            "check the path; an interrupted copy has to be made again",
        ) from error
    except (ValueError, OSError) as error:
        raise BundleError(f"{path}: {error}", "JSON", COPY_AGAIN) from error
    found = content.get("format") if isinstance(content, dict) else None
    if found != expected:
        raise BundleError(f"format {found} in {path}", f"format {expected}", TRAIN_AGAIN)
    try:
        return form.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BundleError(f"{path}: {where}: {first['msg']}", "a manifest", COPY_AGAIN) from error
