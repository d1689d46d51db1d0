"""Versions of a bundle: folders that never change, and the alias that says which one it means.

alias.json          the version that the bundle means; it moves in one step
versions/VERSION/   named by the time and the content; written whole, never changed
  model/            what was learned; no user's data
  state/            what users did until the cut-off
"""

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data_contracts.errors import BundleError
from data_contracts.storage import write_text
from recsys.bundle.manifest import (
    COPY_AGAIN,
    FORMAT,
    MANIFEST,
    TRAIN_AGAIN,
    Manifest,
    StateManifest,
    read_manifest,
    read_state_manifest,
    short_hash,
)

VERSIONS, ALIAS = "versions", "alias.json"
MODEL, STATE = "model", "state"
_NAME = r"^\d{4}-\d\d-\d\dT\d{6}-([0-9a-f]{16})$"


class Alias(BaseModel):
    """The content of `alias.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = Field(1, description="Version of this form.")
    version: str = Field(pattern=_NAME, description="Folder within `versions/`.")


@dataclass(frozen=True)
class Version:
    """A version of a bundle with its manifests; the other files are not looked at.

    Attributes:
        folder: Where it is; never an alias.
        manifest: What the model says of itself.
        state_manifest: What the state says of itself.
    """

    folder: Path
    manifest: Manifest
    state_manifest: StateManifest

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def model(self) -> Path:
        """Folder of what was learned."""
        return self.folder / MODEL

    @property
    def state(self) -> Path:
        """Folder of what users did."""
        return self.folder / STATE

    @property
    def fingerprint(self) -> str:
        """Hash of the content of model and state."""
        return short_hash(self.manifest.fingerprint, self.state_manifest.digest)


def open_version(path: Path) -> Version:
    """Find the version that a path means, and read its manifests.

    Args:
        path: A bundle, whose alias is read once, or a version's own folder.

    Returns:
        The version.

    Raises:
        BundleError: There is no version, or one of another format, or its name tells of another
            content.
    """
    folder = path if (path / MODEL).is_dir() else _meant_by_alias(path)
    version = Version(folder, read_manifest(folder / MODEL), read_state_manifest(folder / STATE))
    told = re.match(_NAME, folder.name)
    if told is not None and told[1] != version.fingerprint:
        raise BundleError(
            f"fingerprint {version.fingerprint} in {folder}",
            f"fingerprint {told[1]}, as its name says",
            COPY_AGAIN,
        )
    return version


def _meant_by_alias(bundle: Path) -> Path:
    path = bundle / ALIAS
    try:
        alias = Alias.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        if (bundle / MANIFEST).exists():
            raise BundleError(
                f"a bundle of an earlier format in {bundle}", f"format {FORMAT}", TRAIN_AGAIN
            ) from error
        raise BundleError(
            f"neither {ALIAS} nor {MODEL}/ in {bundle}",
            "a bundle that `recsys train` wrote, or one of its versions",
            "check the path, or train the bundle",
        ) from error
    except (ValidationError, OSError) as error:
        raise BundleError(
            f"{path}: {str(error).splitlines()[0]}",
            f"the name of one of {VERSIONS}/",
            "train the bundle again, or name one of its versions instead",
        ) from error
    folder = bundle / VERSIONS / alias.version
    if not folder.is_dir():
        raise BundleError(
            f"{path} means {alias.version}, which is not there",
            f"one of {VERSIONS}/",
            "copy the bundle with its versions, or train it again",
        )
    return folder


def version_name(created_at: datetime, fingerprint: str) -> str:
    """Name a version so that names sort by time and tell the content."""
    return f"{created_at:%Y-%m-%dT%H%M%S}-{fingerprint}"


def move_alias(bundle: Path, version: str) -> None:
    """Let a bundle mean another version, in one step and on disk when it returns."""
    write_text(bundle / ALIAS, Alias(version=version).model_dump_json() + "\n")
