"""The wire format of a ranking call, and the two values that flow through the ranker."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    StringConstraints,
    model_validator,
)

from data_contracts.names import LONGEST_NAME, Id

WIRE_VERSION = 1

MOST_CANDIDATES = 10_000
"""Candidates of a request at the most, whatever a service is set to: rankers learn from no longer
slates."""
MOST_NUMBERS = 100
"""Numbers of a candidate, or entries of the context, at the most."""
MOST_LETTERS = 2_000
"""Characters of a query, or of a word of the context, at the most."""
FLOAT32_MAX = float(np.finfo(np.float32).max)

Text = Annotated[str, StringConstraints(max_length=20_000)]
Query = Annotated[str, StringConstraints(max_length=MOST_LETTERS)]
Word = Annotated[str, StringConstraints(max_length=MOST_LETTERS)]
Key = Annotated[str, StringConstraints(max_length=LONGEST_NAME)]
Number = Annotated[FiniteFloat, Field(ge=-FLOAT32_MAX, le=FLOAT32_MAX)]
"""A number that a feature, a float32, can hold."""
FIRST_MOMENT, LAST_MOMENT = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
Moment = Annotated[AwareDatetime, Field(ge=FIRST_MOMENT, le=LAST_MOMENT)]
Rung = Literal["full", "cached_text", "no_text", "given_order"]


class Candidate(BaseModel):
    """An item to be ranked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    item_id: Id = Field(description="The item; unknown items are ranked and listed as unknown.")
    text: Text | None = Field(
        None, description="Text of an item the catalogue does not know; encoded on the spot."
    )
    features: Annotated[dict[Key, Number], Field(max_length=MOST_NUMBERS)] | None = Field(
        None,
        description="Numbers the caller knows, such as a retrieval score, by declared name; the "
        "answer names those that the bundle does not read.",
    )


class RankRequest(BaseModel):
    """The body of `POST /v1/rank`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    candidates: Annotated[list[Candidate], Field(min_length=1, max_length=MOST_CANDIDATES)] = Field(
        description="What to order; no item twice."
    )
    user_id: Id | None = Field(None, description="Null for a guest: the default profile is used.")
    session_id: Id | None = Field(None, description="The visit.")
    query: Query | None = Field(None, description="What the user searched for.")
    context: Annotated[dict[Key, Word | Number], Field(max_length=MOST_NUMBERS)] = Field(
        default_factory=dict,
        description="What the caller knows of the visit, such as the device, in words of at most "
        f"{MOST_LETTERS:,} characters; the answer names what the bundle does not read.",
    )
    top_k: int | None = Field(None, ge=1, description="Answer only the best so many.")
    explain: bool = Field(
        False, description="Add their contributions to the scores of the best items."
    )
    deadline_ms: float | None = Field(
        None, gt=0, le=60_000, description="Time allowed, in milliseconds from arrival."
    )
    request_id: Id | None = Field(None, description="Made up when absent.")
    timestamp: Moment | None = Field(
        None,
        description="Moment of the request with its zone, of the years "
        f"{FIRST_MOMENT.year} to {LAST_MOMENT.year - 1}; the time of arrival when absent.",
    )

    @model_validator(mode="after")
    def _no_item_twice(self) -> Self:
        seen: set[str] = set()
        for candidate in self.candidates:
            if candidate.item_id in seen:
                twice = candidate.item_id
                message = f"item_id {twice!r} stands twice among the candidates; send each once"
                raise ValueError(message)
            seen.add(candidate.item_id)
        return self


class RankedItem(BaseModel):
    """A candidate in its place."""

    item_id: str
    score: float = Field(description="The ranker's score; higher is better, one slate only.")
    p_click: float | None = Field(
        description="Probability of a positive grade, such as a click, of a candidate that is "
        "shown as those of the log were; calibrated over all candidates of the validation period. "
        "Null on rungs without the ranker, and from bundles trained on sampled slates."
    )
    interest_match: float | None = Field(
        description="The text model's score; null when the item has no text."
    )
    contributions: dict[str, float] | None = Field(
        None,
        description="TreeSHAP share of each feature in the score, strongest first; of the best "
        "items, as many as the service explains.",
    )
    history_shares: dict[str, float] | None = Field(
        None,
        description="What past items add to the interest match, by item_id, strongest first, the "
        "ten strongest; given with the contributions, null when the item has no text.",
    )


class RankResponse(BaseModel):
    """The answer of `POST /v1/rank`."""

    request_id: str
    policy: str = Field(description="The bundle that ranked.")
    rung: Rung = Field(description="How much of the ranker this answer used.")
    items: list[RankedItem] = Field(description="Best first.")
    unknown_items: list[str] = Field(description="Candidates the catalogue does not know.")
    ignored: list[str] = Field(
        default_factory=list,
        description="Names of features and context in the request that the bundle does not read, "
        "the first ones.",
    )
    timings_ms: dict[str, float] = Field(description="Milliseconds spent in each stage.")


@dataclass(frozen=True)
class Slate:
    """One request as the ranker sees it.

    Attributes:
        request_id: Identifier of the call.
        item_ids: The candidates in the given order, no item twice.
        timestamp: Moment of the request, in UTC.
        user_id: None for a guest.
        query: What the user searched for.
        texts: Text of each candidate that brings its own, None elsewhere; aligned.
        context: What the caller knew of the visit.
        given: Caller-supplied numbers by name, float32 [n_candidates], NaN where not given.
    """

    request_id: str
    item_ids: Sequence[str]
    timestamp: datetime
    user_id: str | None = None
    query: str | None = None
    texts: Sequence[str | None] = ()
    context: dict[str, str | float] = field(default_factory=dict)
    given: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class RankedSlate:
    """A slate in ranked order: all arrays are best first.

    Attributes:
        item_ids: The candidates, best first.
        scores: float64 [n], higher is better, not increasing.
        p_click: float64 [n], probability of a positive grade; None on rungs without the ranker, and
            from bundles trained on sampled slates.
        interest_match: float32 [n], NaN for items without text; None when text was not used.
        rung: How much of the ranker was used.
        unknown_items: Candidates the catalogue does not know.
        contributions: Of the best items, as many as were asked for: feature name to TreeSHAP
            contribution, strongest first; None without any.
        history_shares: Of the same items: past item to what it adds to the interest match,
            strongest first; None for an item without text, and None when text was not used.
        features: float32 [n, n_features], the behavioural features that the ranker got, NaN where
            missing; None on rungs without the ranker.
        unseen_values: Values of attributes among the candidates that the ranker has not seen in
            training; they count as missing.
        timings_ms: Milliseconds by stage.
    """

    item_ids: Sequence[str]
    scores: np.ndarray
    p_click: np.ndarray | None
    interest_match: np.ndarray | None
    rung: Rung
    unknown_items: Sequence[str] = ()
    contributions: Sequence[dict[str, float]] | None = None
    history_shares: Sequence[dict[str, float] | None] | None = None
    features: np.ndarray | None = None
    unseen_values: int = 0
    timings_ms: dict[str, float] = field(default_factory=dict)
