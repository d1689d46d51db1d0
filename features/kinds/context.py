"""Request features: local time, and what the caller sends."""

from dataclasses import field as declare
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from data_contracts.names import Name, different
from features.kinds.base import CHECKED, Columns, Description, Feature
from features.reader import Reader


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        message = f"no time zone {name!r}; name one of the IANA database, such as Europe/London"
        raise ValueError(message) from error
    return name


TimeZone = Annotated[str, AfterValidator(_known_zone)]


@dataclass(frozen=True, config=CHECKED)
class LocalTime(Feature):
    """Hour of the day or day of the week where the users live."""

    part: Literal["hour", "weekday"]
    timezone: TimeZone
    kind: Literal["local_time"] = declare(default="local_time", kw_only=True)

    @property
    def name(self) -> str:
        return f"request_{self.part}"

    def describe(self) -> Description:
        unit = "hour, 0..23" if self.part == "hour" else "day, 0 is Monday"
        return Description(f"{self.part} of the request in {self.timezone}", unit)

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        hours, weekdays = reader.local_time(self.timezone)
        return hours if self.part == "hour" else weekdays


@dataclass(frozen=True, config=CHECKED)
class Given(Feature):
    """A number the caller sent with the candidate, or with the request for all its candidates."""

    field: Name
    kind: Literal["given"] = declare(default="given", kw_only=True)

    @property
    def name(self) -> str:
        return f"given_{self.field}"

    def describe(self) -> Description:
        return Description(
            f"`{self.field}` as the caller sent it", "the caller's", "the caller sent none"
        )

    def given(self) -> list[str]:
        return [self.field]

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        given = reader.rows.given.get(self.field)
        return np.full(len(reader.rows), np.nan) if given is None else given.astype(np.float64)


@dataclass(frozen=True, config=CHECKED)
class ContextWord(Feature):
    """Which of some words the request's context has under a key, such as the device."""

    field: Name
    values: Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(different)]
    kind: Literal["context_word"] = declare(default="context_word", kw_only=True)

    @property
    def name(self) -> str:
        return f"context_{self.field}"

    def describe(self) -> Description:
        words = ", ".join(f"{place} {value}" for place, value in enumerate(self.values))
        return Description(
            f"`{self.field}` in the request's context",
            f"code: {words}",
            "the context has none, or another word",
            is_code=True,
        )

    def context(self) -> list[str]:
        return [self.field]

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        place = {value: float(number) for number, value in enumerate(self.values)}
        words = reader.rows.context.get(self.field)
        if words is None:
            return np.full(len(reader.rows), np.nan)
        codes = np.array([place.get(word or "", np.nan) for word in words], np.float64)
        return codes[reader.rows.request]
