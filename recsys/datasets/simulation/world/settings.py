"""Settings of a simulated shop, and the counts that its simulation reports."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

Rate = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=0.9, allow_inf_nan=False)]

BEFORE_THE_LOG = -1
"""The day of users and items that were there when the log opens."""


class SimulationSettings(BaseModel, extra="forbid", frozen=True):
    """Size and seed of a simulated shop.

    The defaults are the shop of the quickstart: 2,000 users, 3,030 items, some 580,000 impressions.
    Everything grows day by day from the seed: the same settings with more days give the same
    first days. Faults (late, late_items, late_impressions, duplicates, orphans, bots) are drawn
    apart: the rest of the log is the same without them.
    """

    users: int = Field(1700, ge=1, description="Users who know the shop when the log opens.")
    new_users_per_day: Rate = Field(5, description="Users who come for the first time, per day.")
    items: int = Field(1950, ge=1, description="Items listed before the log opens.")
    new_items_per_day: Rate = Field(18, description="Items listed during the log, per day.")
    days: int = Field(60, ge=4, le=3650, description="Length of the log, in days.")
    requests_per_day: Annotated[float, Field(ge=1, allow_inf_nan=False)] = Field(
        400, description="Mean number of slates shown per day; weekdays differ."
    )
    slate_size: int = Field(24, ge=2, le=500, description="Candidates per slate.")
    memory_days: int = Field(
        180,
        ge=1,
        description="How long users know what they clicked or bought, in days since the last time.",
    )
    price_changes: Share = Field(
        0.01, description="Share of items whose price changes, per day; buyers pay the new one."
    )
    title_changes: Share = Field(
        0.01, description="Share of items whose title is worded anew, per 30 days."
    )
    deleted: Share = Field(
        0.02, description="Share of items that leave the shop, per 30 days; never shown again."
    )
    late_items: Share = Field(
        0.03,
        description="Share of new items and of changes that become known minutes to days after "
        "they come into force.",
    )
    late_impressions: Share = Field(
        0.005,
        description="Share of requests whose impressions become known minutes to hours after them.",
    )
    late: Share = Field(
        0,
        description="Share of interactions that become known minutes to months after they happen.",
    )
    duplicates: Share = Field(
        0, description="Share of interactions that are recorded a second time, known later."
    )
    orphans: Share = Field(
        0, description="Share of interactions that name a request the log does not have."
    )
    bots: Share = Field(
        0, description="Share of requests made by robots that walk through the catalogue."
    )
    start: date = Field(date(2026, 1, 5), description="First day of the log (UTC).")
    seed: int = Field(20260105, ge=0, description="Seed of everything random.")

    @model_validator(mode="after")
    def _slates_fit_the_catalogue(self) -> Self:
        if self.items < 4 * self.slate_size:
            message = (
                f"items is {self.items}, need at least four times slate_size, "
                f"{4 * self.slate_size}: list more items or show fewer"
            )
            raise ValueError(message)
        return self

    @classmethod
    def tiny(cls) -> Self:
        """Give a shop for tests: 120 users, 150 items, some 7,000 impressions in 20 days."""
        return cls(
            users=100,
            new_users_per_day=1,
            items=100,
            new_items_per_day=2.5,
            days=20,
            requests_per_day=30,
            slate_size=12,
        )


def arrivals(opening: int, per_day: float, day: int) -> int:
    """Count the arrivals before a day, from 0: those of the opening and whole ones since."""
    return opening + int(per_day * day)


def arrivals_by_day(opening: int, per_day: float, days: int) -> Iterator[tuple[int, int]]:
    """Yield each day of the log with the number that arrives on it, if any; first the opening."""
    yield BEFORE_THE_LOG, opening
    for day in range(days):
        fresh = arrivals(opening, per_day, day + 1) - arrivals(opening, per_day, day)
        if fresh:
            yield day, fresh


class SimulationReport(BaseModel, extra="forbid", frozen=True):
    """Counts of a simulation."""

    path: Path = Field(description="The workspace.")
    users: int = Field(description="Users who could have come, whether they did or not.")
    items: int = Field(description="Items the shop ever listed.")
    item_versions: int = Field(description="Rows of the catalogue: what its items were over time.")
    deleted_items: int = Field(description="Items that left the shop.")
    late_items: int = Field(description="Versions that became known after they came into force.")
    sessions: int = Field(description="Visits.")
    requests: int = Field(description="Slates shown, those to robots included.")
    impressions: int = Field(description="Rows of the log of impressions.")
    late_impressions: int = Field(
        description="Impressions that became known after their request, counted among the rows."
    )
    clicks: int = Field(description="Interactions of that kind in the log, each counted once.")
    carts: int = Field(description="Interactions of that kind in the log, each counted once.")
    purchases: int = Field(description="Interactions of that kind in the log, each counted once.")
    unseen_interactions: int = Field(
        description="Interactions that fell after the end of the log and are not in it."
    )
    late: int = Field(description="Interactions that became known after they happened.")
    duplicates: int = Field(
        description="Rows that record an interaction again; not among the interactions above."
    )
    orphans: int = Field(description="Interactions that name a request the log does not have.")
    bots: int = Field(description="Robots among the users.")
    bot_requests: int = Field(description="Slates shown to robots.")

    @property
    def events(self) -> int:
        """Rows of both logs: impressions, interactions and their duplicates."""
        done = self.clicks + self.carts + self.purchases
        return self.impressions + done + self.duplicates
