"""Settings of the service: bundle, addresses, limits, replicas."""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from data_contracts.errors import UsageError
from data_contracts.slates import MOST_CANDIDATES

MOST_CONNECTIONS = 4096
"""Callers that are connected at once at the most."""

Device = Literal["cpu", "cuda"]


class ServiceSettings(BaseSettings):
    """Settings of `recsys serve`; each can be given as an environment variable `RECSYS_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="RECSYS_", extra="forbid", frozen=True)

    bundle: Path = Field(description="The bundle to serve, or one of its versions.")
    host: str = Field("127.0.0.1", description="Address to listen on; this machine only.")
    port: int = Field(8000, ge=1, le=65_535, description="Port to listen on.")
    ray_address: str | None = Field(
        None, description="Cluster to join; a local Ray is started when absent."
    )
    haproxy: bool = Field(
        True, description="HAProxy as the ingress; Serve's Python proxy, four times slower, if not."
    )
    metrics_port: int | None = Field(
        None, ge=1, le=65_535, description="Port of the Prometheus metrics; any free one if absent."
    )
    log_to_console: bool = Field(
        True, description="Show the replicas' log lines on the console; they go to files anyway."
    )
    served_features: Path | None = Field(
        None,
        description="Folder where the features of answered requests are written, a file a day and "
        "process, for `recsys features parity --logged`; none when absent.",
    )
    served_features_share: float = Field(
        1, ge=0, le=1, description="Share of the requests whose features are written."
    )
    startup_timeout_s: float = Field(
        300, gt=0, description="Time allowed until the service is ready, in seconds."
    )

    max_candidates: int = Field(
        1000, ge=1, le=MOST_CANDIDATES, description="Candidates per request at the most."
    )
    max_explained: int = Field(
        50, ge=1, description="Best items of a request whose scores are explained at the most."
    )
    body_timeout_s: float = Field(
        10, gt=0, description="Time allowed for a request's body to arrive, in seconds."
    )
    max_body_bytes: int = Field(
        4 * 2**20, ge=1024, description="Length of a request's body at the most, in bytes."
    )
    max_in_flight: int = Field(
        64, ge=1, description="Requests a ranking replica holds at once; more are answered 503."
    )
    encoder_timeout_ms: float = Field(
        10_000, gt=0, description="Wait for the encoder when the request has no deadline."
    )
    answer_reserve_ms: float = Field(
        3, ge=0, description="Part of a deadline kept for the way back, in milliseconds."
    )

    ranking_replicas: int = Field(1, ge=1, description="Replicas of the ranking deployment.")
    ranking_cpus: float = Field(
        0.5, gt=0, description="CPUs Ray sets aside per ranking replica; it is no limit."
    )
    encoder_replicas: int = Field(1, ge=1, description="Replicas of the text encoder.")
    encoder_cpus: float = Field(
        0.5, gt=0, description="CPUs Ray sets aside per encoder replica; it is no limit."
    )
    encoder_gpus: float = Field(0, ge=0, description="GPUs per encoder replica.")
    encoder_device: Device = Field("cpu", description="Device the texts are encoded on.")
    encoder_threads: int | None = Field(
        None, ge=1, description="CPU threads per encoder replica; all of the machine's when absent."
    )
    encoder_batch_tokens: int = Field(
        2048, ge=512, description="Tokens of one batch, over all requests in it."
    )
    encoder_batch_wait_ms: float = Field(
        2, ge=0, description="Wait for a batch to fill up, in milliseconds."
    )

    @classmethod
    def read(cls, bundle: Path, port: int | None = None) -> "ServiceSettings":
        """Read the settings of a command: its options first, then the environment.

        Args:
            bundle: The bundle, or one of its versions.
            port: Port to listen on; None when the option was not given.

        Returns:
            The settings.

        Raises:
            UsageError: A value is none of its setting's.
        """
        try:
            if port is None:
                return cls(bundle=bundle.absolute())
            return cls(bundle=bundle.absolute(), port=port)
        except ValidationError as error:
            fault = error.errors()[0]
            name = ".".join(map(str, fault["loc"]))
            raise UsageError(
                f"{name} {fault['input']!r}",
                fault["msg"].removeprefix("Input should be "),
                f"correct RECSYS_{name.upper()}"
                + (", or give another --port" if name == "port" else ""),
            ) from error
