"""Features of the item itself: price, age, attributes."""

from dataclasses import field
from typing import Literal

import numpy as np
from pydantic.dataclasses import dataclass

from features.arrays.clock import days_since
from features.arrays.key_index import MISSING
from features.kinds.base import CHECKED, Columns, Description, Feature
from features.reader import Reader


@dataclass(frozen=True, config=CHECKED)
class Price(Feature):
    """The item's price, as it is."""

    kind: Literal["price"] = field(default="price", kw_only=True)

    @property
    def name(self) -> str:
        return "item_price"

    def describe(self) -> Description:
        return Description("log(1 + price) of this item", "log currency", "the item has no price")

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        return reader.of_version(reader.catalogue.log_price)


@dataclass(frozen=True, config=CHECKED)
class Age(Feature):
    """Days since the item was listed."""

    kind: Literal["age"] = field(default="age", kw_only=True)

    @property
    def name(self) -> str:
        return "item_age"

    def describe(self) -> Description:
        return Description(
            "time since this item was listed", "days", "its listing is unknown or still to come"
        )

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        age = days_since(reader.row_moment, reader.listed_at())
        return np.where(age < 0, np.nan, age)


@dataclass(frozen=True, config=CHECKED)
class AttributeCode(Feature):
    """Which value of an attribute the item has, as a number without order."""

    attribute: str
    kind: Literal["attribute_code"] = field(default="attribute_code", kw_only=True)

    @property
    def name(self) -> str:
        return f"item_{self.attribute}_code"

    def describe(self) -> Description:
        return Description(
            f"{self.attribute} of this item, as the number it got when it was first known",
            "code",
            f"the item has no {self.attribute}",
            is_code=True,
        )

    def attributes(self) -> list[str]:
        return [self.attribute]

    @property
    def coded(self) -> str:
        return self.attribute

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        code = reader.attribute_code(self.attribute)
        return np.where(code == MISSING, np.nan, code)


@dataclass(frozen=True, config=CHECKED)
class AttributeNumber(Feature):
    """A number that the catalogue has of the item."""

    attribute: str
    kind: Literal["attribute_number"] = field(default="attribute_number", kw_only=True)

    @property
    def name(self) -> str:
        return f"item_{self.attribute}_number"

    def describe(self) -> Description:
        return Description(
            f"{self.attribute} of this item", "the catalogue's", f"the item has no {self.attribute}"
        )

    def numbers(self) -> list[str]:
        return [self.attribute]

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        return reader.of_version(reader.catalogue.numbers[self.attribute])
