"""Grades: each impression's highest grade among the interactions attributed to it."""

from datetime import timedelta

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field, model_validator

from data_contracts.events import Impressions, Interactions
from data_contracts.names import Name

_ROW, _GRADE, _SHOWN_AT, _AFTER = "_row", "_grade", "_shown_at", "_after"


class LabelSettings(BaseModel):
    """The part `[labels]` of `recsys.toml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    grades: dict[Name, int] = Field(
        {"click": 1, "cart": 2, "purchase": 3},
        min_length=1,
        description="Relevance of each interaction kind.",
    )
    label_gain: tuple[float, ...] = Field(
        (0, 1, 3, 7), description="Gain of grade 0, 1, 2, ... in nDCG and lambdarank."
    )
    attribution_window_hours: float = Field(
        24, gt=0, description="How long after an impression an interaction labels it, in hours."
    )

    @property
    def attribution_window(self) -> timedelta:
        """How long after an impression an interaction labels it."""
        return timedelta(hours=self.attribution_window_hours)

    @model_validator(mode="after")
    def _every_grade_has_a_gain(self) -> "LabelSettings":
        highest = max(self.grades.values(), default=0)
        if min(self.grades.values(), default=1) < 1 or len(self.label_gain) <= highest:
            message = (
                f"grades {self.grades} need grades of at least 1 and "
                f"{highest + 1} values in label_gain, found {len(self.label_gain)}"
            )
            raise ValueError(message)
        return self

    @property
    def kinds(self) -> list[str]:
        """Kinds of interaction, weakest grade first."""
        return sorted(self.grades, key=lambda kind: self.grades[kind])


def grade_impressions(
    impressions: pl.DataFrame, interactions: pl.LazyFrame, settings: LabelSettings
) -> np.ndarray:
    """Give each impression the highest grade among the interactions that it led to.

    An interaction that names its request labels that request's impression of the item. One that
    names none labels the latest impression of the item to the same user, or without a user to the
    same session. Either way it must follow within the attribution window, its start included.

    Args:
        impressions: request_id, item_id, user_id, session_id, timestamp; no item twice a request.
        interactions: A table that keeps the contract of interactions.
        settings: Grades and the window.

    Returns:
        uint8 [n_impressions]; 0 where nothing followed.
    """
    time = Impressions.timestamp.name
    shown = impressions.with_row_index(_ROW).with_columns(pl.col(time).alias(_SHOWN_AT))
    graded = _graded(interactions, settings)
    request, user = Impressions.request_id.name, Impressions.user_id.name
    unnamed = graded.filter(pl.col(request).is_null())
    matches = pl.concat(
        [
            _by_request(graded, shown),
            _by_latest(unnamed, shown, user),
            _by_latest(unnamed.filter(pl.col(user).is_null()), shown, Impressions.session_id.name),
        ]
    )
    in_window = pl.col(_AFTER).is_between(timedelta(), settings.attribution_window, closed="left")
    best = matches.filter(in_window).group_by(_ROW).agg(pl.col(_GRADE).max())
    grades = np.zeros(impressions.height, np.uint8)
    grades[best[_ROW].to_numpy()] = best[_GRADE].to_numpy()
    return grades


def _graded(interactions: pl.LazyFrame, settings: LabelSettings) -> pl.DataFrame:
    """Read the interactions whose kind has a grade, in order of time."""
    kind = Interactions.kind.col
    grade = kind.replace_strict(settings.grades, default=None, return_dtype=pl.UInt8)
    return (
        interactions.with_columns(grade.alias(_GRADE))
        .filter(pl.col(_GRADE).is_not_null())
        .select(
            Interactions.request_id.name,
            Interactions.item_id.name,
            Interactions.user_id.name,
            Interactions.session_id.name,
            Interactions.timestamp.name,
            _GRADE,
        )
        .sort(Interactions.timestamp.name)
        .collect()
    )


def _by_request(graded: pl.DataFrame, shown: pl.DataFrame) -> pl.DataFrame:
    """Match interactions that name their request with its impression of the item."""
    keys = [Impressions.request_id.name, Impressions.item_id.name]
    return _matched(graded.join(shown.select(*keys, _ROW, _SHOWN_AT), on=keys, how="inner"))


def _by_latest(graded: pl.DataFrame, shown: pl.DataFrame, who: str) -> pl.DataFrame:
    """Match interactions with the latest impression of the item to the same user or session."""
    time, item = Impressions.timestamp.name, Impressions.item_id.name
    graded = graded.filter(pl.col(who).is_not_null())
    if not graded.height:
        shown = shown.clear()
    known = shown.filter(pl.col(who).is_not_null()).sort(time)
    found = graded.join_asof(
        known.select(who, item, time, _ROW, _SHOWN_AT),
        on=time,
        by=[who, item],
        strategy="backward",
        check_sortedness=False,
    )
    return _matched(found.filter(pl.col(_ROW).is_not_null()))


def _matched(found: pl.DataFrame) -> pl.DataFrame:
    after = pl.col(Interactions.timestamp.name) - pl.col(_SHOWN_AT)
    return found.select(_ROW, _GRADE, after.alias(_AFTER))
