"""Which features a workspace computes."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Days = Annotated[int, Field(ge=1, le=730)]


class FeatureSettings(BaseModel):
    """The part `[features]` of `recsys.toml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    timezone: str = Field("UTC", description="Where users live: hour and weekday are told there.")
    windows_days: tuple[Days, ...] = Field(
        (1, 7, 30, 90), description="Lengths of the counting windows, in days."
    )
    attributes: tuple[str, ...] = Field(
        ("category",), description="Item columns that get counters and user affinities."
    )
    given: tuple[str, ...] = Field(
        (), description="Names of numbers the caller sends with each candidate."
    )
    history: int = Field(
        50, ge=1, le=1000, description="Interactions remembered per user, newest kept."
    )
    snapshot_days: int = Field(
        14, ge=1, description="Days between snapshots of co-visitation, repeat rates and priors."
    )
    snapshot_window_days: int = Field(
        365, ge=1, description="Days of log a snapshot is computed from."
    )
    neighbours: int = Field(100, ge=1, description="Co-visited items kept per item.")
    smoothing: float = Field(
        20.0, gt=0, description="Weight of the prior in a smoothed rate, in events."
    )
