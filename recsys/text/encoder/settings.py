"""Settings of encoding: backend, device, threads, precision; none changes what is learned."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Backend = Literal["torch", "torch-bf16", "onnx", "onnx-int8"]
Precision = Literal["float32", "float16", "int8"]


class EncodingSettings(BaseModel):
    """The part `[encoding]` of `recsys.toml`: where it runs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backend: Backend = Field(
        "torch", description="What computes the vectors; `recsys encoder bench` compares them."
    )
    device: str = Field("cpu", description="Device of the torch backends: `cpu`, `cuda`, `cuda:1`.")
    threads: int | None = Field(
        None, ge=1, description="CPU threads; one per core the process may use when absent."
    )
    max_loss: float = Field(
        0.002,
        ge=0,
        description="Loss of nDCG@10 against torch in float32 that a faster backend may cost.",
    )
    precision: Precision = Field(
        "float32", description="How vectors are kept on disk; int8 with one scale per vector."
    )
