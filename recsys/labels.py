"""From interactions to the grade of each impression."""

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field, model_validator

from data_contracts.events import Impressions, Interactions

_ROW, _GRADE, _SHOWN_AT = "_row", "_grade", "_shown_at"


class LabelSettings(BaseModel):
    """The part `[labels]` of `recsys.toml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    grades: dict[str, int] = Field(
        {"click": 1, "cart": 2, "purchase": 3}, description="Relevance of each interaction kind."
    )
    label_gain: tuple[float, ...] = Field(
        (0, 1, 3, 7), description="Gain of grade 0, 1, 2, ... in nDCG and lambdarank."
    )
    attribution_window_hours: float = Field(
        24, gt=0, description="How long after an impression an interaction labels it, in hours."
    )

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
    time, item, request = (
        Impressions.timestamp.name,
        Impressions.item_id.name,
        Impressions.request_id.name,
    )
    shown = impressions.with_row_index(_ROW).with_columns(pl.col(time).alias(_SHOWN_AT))
    grade = Interactions.kind.col.replace_strict(
        settings.grades, default=None, return_dtype=pl.UInt8
    )
    graded = (
        interactions.with_columns(grade.alias(_GRADE))
        .filter(pl.col(_GRADE).is_not_null())
        .select(request, item, Impressions.user_id.name, Impressions.session_id.name, time, _GRADE)
        .collect()
    )
    named = graded.filter(pl.col(request).is_not_null())
    matches = [
        named.join(shown.select(request, item, _ROW, _SHOWN_AT), on=[request, item], how="inner")
    ]
    unnamed = graded.filter(pl.col(request).is_null()).sort(time)
    user = Impressions.user_id.name
    for who, events in (
        (user, unnamed.filter(pl.col(user).is_not_null())),
        (
            Impressions.session_id.name,
            unnamed.filter(
                pl.col(user).is_null() & pl.col(Impressions.session_id.name).is_not_null()
            ),
        ),
    ):
        if events.height:
            candidates = shown.filter(pl.col(who).is_not_null()).sort(time)
            matches.append(
                events.join_asof(
                    candidates.select(who, item, time, _ROW, _SHOWN_AT),
                    on=time,
                    by=[who, item],
                    strategy="backward",
                    check_sortedness=False,
                ).filter(pl.col(_ROW).is_not_null())
            )
    window = pl.duration(microseconds=int(settings.attribution_window_hours * 3_600_000_000))
    after = pl.col(time) - pl.col(_SHOWN_AT)
    best = (
        pl.concat([match.select(_ROW, _GRADE, after.alias("_after")) for match in matches])
        .filter((pl.col("_after") >= pl.duration(microseconds=0)) & (pl.col("_after") < window))
        .group_by(_ROW)
        .agg(pl.col(_GRADE).max())
    )
    grades = np.zeros(impressions.height, np.uint8)
    grades[best[_ROW].to_numpy()] = best[_GRADE].to_numpy()
    return grades
