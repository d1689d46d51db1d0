"""Settings of features: the columns of a workspace, and how they are computed."""

from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_serializer, model_validator

from data_contracts.names import DifferentNames
from features.kinds.base import declaration
from features.kinds.columns import Column
from features.kinds.context import TimeZone

Days = Annotated[int, Field(ge=1, le=3650)]

OF_THE_DEFAULT_SET = ("timezone", "windows_days", "attributes", "given", "smoothing")
"""Settings of the default set, which are not allowed with declared columns."""


class FeatureSettings(BaseModel):
    """The part `[features]` of `recsys.toml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: tuple[Column, ...] | None = Field(
        None, min_length=1, description="The columns, in order; absent means the default set."
    )
    timezone: TimeZone = Field(
        "UTC", description="Default set: where users live; hour and weekday are told there."
    )
    windows_days: tuple[Days, ...] = Field(
        (1, 7, 30, 90),
        min_length=1,
        description="Default set: lengths of the counting windows, in days.",
    )
    attributes: DifferentNames = Field(
        ("category",),
        description="Default set: item columns that get counters and user affinities.",
    )
    given: DifferentNames = Field(
        (), description="Default set: names of numbers the caller sends with each candidate."
    )
    smoothing: float = Field(
        20.0, gt=0, description="Default set: weight of the prior in a smoothed rate, in events."
    )
    profile_kinds: DifferentNames = Field(
        (),
        description="Kinds of interaction without a grade that histories and users' counters read, "
        "and no rate: such as clicks of an imported history.",
    )
    history: int = Field(
        50,
        ge=1,
        le=1000,
        description="Interactions remembered per user, newest kept; more if [text] looks at more.",
    )
    forget_days: int = Field(
        730,
        ge=1,
        description="Users' counters and histories without an event in so many days are forgotten.",
    )
    late_days: int = Field(
        30, ge=0, description="Events that arrive later than so many days are set aside."
    )
    snapshot_days: int = Field(
        14, ge=1, description="Days between snapshots of co-visitation, repeat rates and priors."
    )
    snapshot_window_days: int = Field(
        365, ge=1, description="Days of log a snapshot is computed from."
    )
    neighbours: int = Field(100, ge=1, description="Co-visited items kept per item.")

    @model_validator(mode="after")
    def _nothing_outlives_memory(self) -> Self:
        columns = () if self.columns is None else self.columns
        windows = [days for column in columns for spec in column.needs() for days in spec.windows]
        longest = max((*windows, *self.windows_days))
        if self.forget_days < longest:
            message = f"forget_days is {self.forget_days}, less than the window of {longest} days"
            raise ValueError(message)
        if self.late_days >= self.forget_days:
            message = f"late_days is {self.late_days}, not less than forget_days"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _columns_fit_together(self) -> Self:
        if self.columns is None:
            return self
        fields = type(self).model_fields
        idle = [n for n in OF_THE_DEFAULT_SET if getattr(self, n) != fields[n].default]
        if idle:
            message = f"{', '.join(idle)} shape the default set: leave out what columns replace"
            raise ValueError(message)
        seen: set[str] = set()
        for place, column in enumerate(self.columns):
            if column.name in seen:
                message = f"columns.{place}: a second column {column.name}; declare each once"
                raise ValueError(message)
            if column.after is not None and column.after not in seen:
                message = (
                    f"columns.{place}: {column.name} looks at {column.after!r}, which no column "
                    f"before it is; before it are {', '.join(sorted(seen)) or 'none'}"
                )
                raise ValueError(message)
            seen.add(column.name)
        return self

    @field_serializer("columns")
    def _as_tables(self, columns: Sequence[Column] | None) -> list[dict[str, Any]] | None:
        return None if columns is None else [declaration(column) for column in columns]
