"""How the replicas get their model and their encoder: from the bundle's folder."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from data_contracts.errors import BundleError
from data_contracts.slates import RankedSlate, Rung, Slate
from recsys.bundle import ENCODER, Bundle, load_bundle
from recsys.config import CONFIG_NAME, read_config
from recsys.manifest import read_manifest
from recsys.rank import rank, texts_to_encode
from serving.model import LoadedEncoder
from serving.settings import ServiceSettings


@dataclass(frozen=True)
class BundleModel:
    """A bundle as the service calls it."""

    bundle: Bundle

    @property
    def name(self) -> str:
        """The policy's name."""
        return self.bundle.name

    @property
    def fingerprint(self) -> str:
        """Hash of the bundle's content."""
        return self.bundle.fingerprint

    def summary(self) -> dict[str, object]:
        """Give the manifest as JSON values."""
        return self.bundle.manifest.model_dump(mode="json")

    def sample_items(self, count: int) -> Sequence[str]:
        """Give up to `count` items of the catalogue."""
        return list(self.bundle.item_ids[:count])

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
    return BundleModel(load_bundle(settings.bundle))


def load_encoder(settings: ServiceSettings) -> LoadedEncoder:
    """Load the encoder of the bundle alone, and check that it is the one the bundle was made with.

    Args:
        settings: Which bundle, and where the encoder runs.

    Returns:
        The encoder and the fingerprint of its bundle.

    Raises:
        BundleError: The weights, the tokenizer or the text length are others.
    """
    import torch  # noqa: PLC0415 - ranking replicas need no torch

    from recsys.text.encoder import TextEncoder  # noqa: PLC0415

    # Ray gives an actor one thread per whole CPU set aside for it, and that may be half a one.
    torch.set_num_threads(settings.encoder_threads or os.cpu_count() or 1)
    manifest = read_manifest(settings.bundle)
    config = read_config(settings.bundle / CONFIG_NAME)
    encoder = TextEncoder.load(
        settings.bundle / ENCODER,
        max_tokens=config.text.max_tokens,
        device=settings.encoder_device,
    )
    if encoder.fingerprint != manifest.encoder_fingerprint:
        raise BundleError(
            f"encoder {encoder.fingerprint} in {settings.bundle}",
            f"encoder {manifest.encoder_fingerprint}, whose vectors the bundle holds",
            "copy the bundle again, or train it anew",
        )
    return LoadedEncoder(encoder, manifest.fingerprint)
