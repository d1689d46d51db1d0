"""The Ray Serve application: a ranking deployment, and the text encoder beside it."""

import asyncio
import gc
from collections.abc import Sequence

import numpy as np
from fastapi import FastAPI
from ray import serve
from ray.serve.config import BackpressureConfig
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import LoggingConfig

from serving.api import build_api
from serving.ranking.model import LoadedEncoder, LoadEncoder, LoadModel, Model
from serving.ranking.service import RankingService
from serving.settings import MOST_CONNECTIONS, ServiceSettings
from serving.telemetry.metrics import RankingTelemetry, make_log
from serving.text_encoder import TextEncoderService
from serving.wire.responses import RETRY_AFTER_S

CONSTRUCTOR_RETRIES = 2


class Ranking:
    """Holds a bundle and answers HTTP; only texts without a vector leave this replica."""

    def __init__(
        self, settings: ServiceSettings, load_model: LoadModel, encoder: DeploymentHandle[object]
    ) -> None:
        async def encode(texts: Sequence[str], fingerprint: str) -> np.ndarray:
            response = encoder.encode.remote(texts, fingerprint)
            try:
                vectors: np.ndarray = await response
            except asyncio.CancelledError:
                # Nobody waits any more, so the encoder need not work on it.
                response.cancel()  # type: ignore[no-untyped-call]
                raise
            return vectors

        self._service = RankingService(
            load_model(settings), encode, settings, RankingTelemetry(make_log())
        )
        self._service.warm_up()
        # What is loaded by now stays; collecting it again and again would only cost pauses.
        gc.collect()
        gc.freeze()

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Give Serve the HTTP interface, made here so that none of it has to be pickled."""
        return build_api(self._service)


def load_bundle_model(settings: ServiceSettings) -> Model:
    """Load the bundle in a ranking replica."""
    from serving.ranking.loading import load_model  # noqa: PLC0415 - only a replica pays for LightGBM

    return load_model(settings)


def load_bundle_encoder(settings: ServiceSettings) -> LoadedEncoder:
    """Load the bundle's encoder in an encoder replica."""
    from serving.ranking.loading import load_encoder  # noqa: PLC0415 - only a replica pays for LightGBM

    return load_encoder(settings)


def build_app(
    settings: ServiceSettings,
    load_model: LoadModel = load_bundle_model,
    load_encoder: LoadEncoder = load_bundle_encoder,
) -> serve.Application:
    """Build the Serve application; nothing is loaded before Serve runs it.

    Args:
        settings: Bundle, replicas, limits.
        load_model: Loads the model in a ranking replica.
        load_encoder: Loads the encoder in an encoder replica.

    Returns:
        The application, for `serve.run`.
    """
    encoder = serve.deployment(
        name="TextEncoder",
        num_replicas=settings.encoder_replicas,
        ray_actor_options={
            "num_cpus": settings.encoder_cpus,
            "num_gpus": settings.encoder_gpus,
        },
        max_constructor_retry_count=CONSTRUCTOR_RETRIES,
        max_ongoing_requests=settings.max_in_flight * settings.ranking_replicas,
        logging_config=LoggingConfig(enable_access_log=False),
    )(TextEncoderService)
    # The service itself refuses what is above max_in_flight, with a problem document, and bounds
    # what it holds of bodies half sent. Serve counts those too, so its own limits keep nobody out
    # whom the ingress lets in.
    ranking = serve.deployment(
        name="Ranking",
        num_replicas=settings.ranking_replicas,
        ray_actor_options={"num_cpus": settings.ranking_cpus},
        max_constructor_retry_count=CONSTRUCTOR_RETRIES,
        max_ongoing_requests=MOST_CONNECTIONS,
        max_queued_requests=MOST_CONNECTIONS,
        backpressure_config=BackpressureConfig(status_code=503, retry_after_s=RETRY_AFTER_S),
        logging_config=LoggingConfig(enable_access_log=False),
    )(serve.ingress()(Ranking))
    return ranking.bind(settings, load_model, encoder.bind(settings, load_encoder))
