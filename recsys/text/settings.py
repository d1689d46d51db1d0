"""Settings `[text]`: the template of an item's text, and the training of the text model."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from data_contracts.items import Items
from data_contracts.names import DifferentNames

Mode = Literal["head", "top_layers", "lora", "full"]


BATCH_SLATES = "batch_slates under [text]"
"""What asks for so many slates to learn from, in words."""


def held_out(slates: int) -> int:
    """Give how many slates of a period, its last ones, decide when training of the text stops."""
    return min(slates // 10, 1_000)


class TextLimits(BaseModel):
    """Limits of an item's text: a bound on keyword stuffing, no cure."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title_words: int = Field(20, ge=1, description="Words of a title that are read.")
    column_words: int = Field(80, ge=1, description="Words of any other column that are read.")
    word_repeats: int = Field(
        3,
        ge=1,
        description="How often a word of more than three letters counts within a column.",
    )

    def of(self, column: str) -> int:
        """Give the number of words that are read of a column."""
        return self.title_words if column == Items.title.name else self.column_words


class TextSettings(BaseModel):
    """The part `[text]` of `recsys.toml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoder: str = Field(
        "minilm",
        description="`minilm` (all-MiniLM-L6-v2), a local folder, or a hub name; NAME@REVISION "
        "asks for a certain commit.",
    )
    template: DifferentNames = Field(
        ("title", "description", "category", "tags"),
        min_length=1,
        description="Item columns put together, in this order, into the text of an item.",
    )
    limits: TextLimits = TextLimits()
    max_tokens: int = Field(64, ge=8, le=512, description="Longer texts are cut, in tokens.")
    history: int = Field(300, ge=1, le=1000, description="Last interactions that make the profile.")
    training_history: int = Field(
        100, ge=1, description="Of those, how many training looks at: its cost grows with them."
    )
    dimensions: int = Field(
        128, ge=1, description="Dimensions of the space in which texts are matched, at the most."
    )

    mode: Literal["auto"] | Mode = Field(
        "auto",
        description="What is trained: `head` (the encoder stays frozen), `top_layers`, `lora`, "
        "`full`, or `auto`: `full` with a GPU and `head` without.",
    )
    layers: int = Field(1, ge=1, description="Last layers of the encoder that `top_layers` trains.")
    lora_rank: int = Field(8, ge=1, description="Rank of the adapters of `lora`.")
    lora_alpha: float = Field(16, gt=0, description="Adapters count alpha / rank.")

    steps: int = Field(1500, ge=1, description="Optimiser steps at the most.")
    check_every: int = Field(
        100, ge=1, description="Steps from one validation, and checkpoint, to the next."
    )
    patience: int = Field(4, ge=1, description="Validations without a gain before training ends.")
    batch_slates: int = Field(32, ge=2, description="Slates per draw.")
    accumulation: int = Field(1, ge=1, description="Draws whose gradients make one step.")
    positives: int = Field(6, ge=1, description="Positives drawn per slate and step.")
    negatives: int = Field(16, ge=1, description="Negatives drawn per slate and step.")
    negative_popularity: float = Field(
        0.0,
        ge=0,
        description="Negatives are drawn in proportion to (1 + times taken) to this power: 0 "
        "evenly, 1 as often as positives are met.",
    )
    across: float = Field(
        0.5, ge=0, description="Weight of the comparison with the other slates' positives."
    )
    popularity_correction: float = Field(
        0.0,
        ge=0,
        le=1,
        description="How much of log(share of all positives) is taken off a score across slates, "
        "where popular items are met more often.",
    )
    grades_compete: bool = Field(
        True, description="A positive is compared with lower grades of its slate too."
    )

    learning_rate: float = Field(1e-3, gt=0, description="Of the head: peak, after the warm-up.")
    encoder_learning_rate: float = Field(
        1e-4, gt=0, description="Of the encoder's layers or adapters: peak, after the warm-up."
    )
    warm_up: float = Field(0.1, ge=0, lt=1, description="Share of the steps that warm up.")
    weight_decay: float = Field(0.01, ge=0, description="Of AdamW.")
    gradient_norm: float = Field(1.0, gt=0, description="Longer gradients are cut to this length.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Share of vector entries dropped.")
    encoder_dropout: float = Field(
        0.1, ge=0, lt=1, description="Dropout inside the layers that are trained."
    )
