"""From interactions to the grade of each impression."""

from pydantic import BaseModel, ConfigDict, Field, model_validator


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
