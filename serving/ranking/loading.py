"""Loads the model of a ranking replica, or the encoder of an encoder replica, from a bundle."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from data_contracts.slates import RankedSlate, Rung, Slate
from recsys.bundle.bundle import ENCODER, Bundle, load_bundle
from recsys.bundle.versions import open_version
from recsys.rank import rank, texts_to_encode
from recsys.text.encoder.backends import usable_backend
from recsys.text.encoder.open_saved import open_saved
from recsys.workspace.config import CONFIG_NAME, read_config
from serving.ranking.model import LoadedEncoder
from serving.settings import ServiceSettings
from serving.telemetry.metrics import make_log
from serving.wire.slates import Declared


@dataclass(frozen=True)
class BundleModel:
    """A bundle behind the interface `Model`.

    Attributes:
        bundle: The bundle.
        encoder_device: Device of the encoder replicas.
    """

    bundle: Bundle
    encoder_device: str = "cpu"

    @property
    def name(self) -> str:
        """The policy's name."""
        return self.bundle.name

    @property
    def version(self) -> str:
        """Which version of the bundle it is."""
        return self.bundle.version.name

    @property
    def fingerprint(self) -> str:
        """Hash of the bundle's content."""
        return self.bundle.fingerprint

    @property
    def schema_hash(self) -> str:
        """Hash of the declared features."""
        return self.bundle.manifest.schema_hash

    @cached_property
    def declared(self) -> Declared:
        """Names that are read of a request."""
        features = self.bundle.features.features
        return Declared(frozenset(features.given), frozenset(features.context))

    def summary(self) -> dict[str, object]:
        """Give the manifests as JSON values, and what computes vectors here."""
        backend = usable_backend(self.bundle.config.encoding.backend, self.encoder_device)
        state = self.bundle.version.state_manifest
        return {
            **self.bundle.manifest.model_dump(mode="json"),
            "state": state.model_dump(mode="json"),
            "encoder_backend": asdict(backend),
        }

    def sample_items(self, count: int) -> Sequence[str]:
        """Give up to `count` items of the catalogue."""
        return list(self.bundle.known_items[:count])

    def sample_users(self, count: int) -> Sequence[str]:
        """Give up to `count` users with a history."""
        return list(self.bundle.user_ids[:count])

    def texts_to_encode(self, slate: Slate) -> list[str]:
        """Give the distinct texts of a slate that have no vector."""
        return texts_to_encode(self.bundle, slate)

    def rank(
        self, slate: Slate, vectors: Mapping[str, np.ndarray], *, rung: Rung, explain: int
    ) -> RankedSlate:
        """Put a slate in order."""
        return rank(self.bundle, slate, vectors, rung=rung, explain=explain)


def load_model(settings: ServiceSettings) -> BundleModel:
    """Load and check the bundle."""
    return BundleModel(load_bundle(settings.bundle), settings.encoder_device)


def load_encoder(settings: ServiceSettings) -> LoadedEncoder:
    """Load the encoder of the bundle alone, and check that it is the one the bundle was made with.

    Args:
        settings: Which bundle, and where the encoder runs.

    Returns:
        The encoder and the fingerprint of its bundle.

    Raises:
        BundleError: The weights, the tokenizer or the text length are others.
    """
    version = open_version(settings.bundle)
    config = read_config(version.model / CONFIG_NAME)
    # Ray gives an actor one thread per whole CPU set aside for it, and that may be half a one.
    encoding = config.encoding.model_copy(
        update={
            "device": settings.encoder_device,
            "threads": settings.encoder_threads or os.cpu_count() or 1,
        }
    )
    choice = usable_backend(encoding.backend, encoding.device)
    if choice.reason is not None:
        make_log().warning(
            "encoder_backend", chosen=choice.chosen, in_use=choice.in_use, reason=choice.reason
        )
    encoder = open_saved(
        version.model / ENCODER, config.text, encoding, version.manifest.encoder_fingerprint
    )
    return LoadedEncoder(encoder, version.fingerprint)
