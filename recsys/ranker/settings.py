"""Settings `[ranker]`: LightGBM's parameters."""

from pydantic import BaseModel, ConfigDict, Field

LONGEST_SLATE = 10_000
"""Rows of a request that LightGBM's lambdarank takes at the most."""


class RankerSettings(BaseModel):
    """The part `[ranker]` of `recsys.toml`; names are LightGBM's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_leaves: int = Field(31, ge=2, description="Leaves per tree.")
    learning_rate: float = Field(0.06, gt=0, description="Shrinkage per tree.")
    num_iterations: int = Field(500, ge=1, description="Trees at the most.")
    early_stopping_round: int = Field(
        40, ge=1, description="Trees without a better validation nDCG@10 before stopping."
    )
    min_data_in_leaf: int = Field(100, ge=1, description="Rows per leaf at the least.")
    feature_fraction: float = Field(0.7, gt=0, le=1, description="Share of columns per tree.")
    bagging_fraction: float = Field(0.8, gt=0, le=1, description="Share of rows per tree.")
    lambda_l2: float = Field(5.0, ge=0, description="L2 regularisation of leaf values.")
    lambdarank_norm: bool = Field(
        True,
        description="Scale each request's gradients by their sum; off suits slates with a click or "
        "two, whose one lucky click would else weigh as much as a basket.",
    )
    position_bias: bool | None = Field(
        None,
        description="Unbiased lambdarank by position; on for logged slates when absent. The "
        "positions of sampled slates mean nothing: there it is off, and refused.",
    )
