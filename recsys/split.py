"""Time-forward splits: text model, then ranker, then validation, then test."""

import itertools
from datetime import datetime
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator


class SplitSettings(BaseModel):
    """The part `[split]` of `recsys.toml`: the moments between the periods.

    After each of them a purge gap of one attribution window is left out, so that no label of the
    earlier period is decided by an event of the later one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    text_end: AwareDatetime = Field(description="The encoder is trained on events before this.")
    ranker_end: AwareDatetime = Field(description="The ranker is trained on requests before this.")
    validation_end: AwareDatetime = Field(
        description="Early stopping and calibration use requests before this; the test the rest."
    )
    test_end: AwareDatetime | None = Field(
        None, description="End of the test; the end of the log when absent."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        moments: list[datetime] = [self.text_end, self.ranker_end, self.validation_end]
        if self.test_end is not None:
            moments.append(self.test_end)
        if any(later <= earlier for earlier, later in itertools.pairwise(moments)):
            message = "need text_end < ranker_end < validation_end < test_end"
            raise ValueError(message)
        return self
