"""How item text is put together and the text model trained."""

from pydantic import BaseModel, ConfigDict, Field


class TextSettings(BaseModel):
    """The part `[text]` of `recsys.toml`: what is learned from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoder: str = Field(
        "minilm", description="`minilm` (all-MiniLM-L6-v2), a local folder, or a hub name."
    )
    template: tuple[str, ...] = Field(
        ("title", "description", "category", "tags"),
        description="Item columns put together, in this order, into the text of an item.",
    )
    max_tokens: int = Field(64, ge=8, le=512, description="Longer texts are cut, in tokens.")
    history: int = Field(30, ge=1, description="Last interactions that make the profile.")
    steps: int = Field(1500, ge=1, description="Optimiser steps at the most.")
    batch_slates: int = Field(32, ge=2, description="Slates per step.")
    positives: int = Field(6, ge=1, description="Positives drawn per slate and step.")
    negatives: int = Field(16, ge=1, description="Negatives drawn per slate and step.")
    learning_rate: float = Field(1e-3, gt=0, description="Peak, after the warm-up.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Share of vector entries dropped.")
