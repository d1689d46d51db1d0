"""The interface of a feature, and the words that names and descriptions share.

A kind is a frozen dataclass that pydantic checks: its fields are the parameters of a table
`[[features.columns]]` in `recsys.toml`, its `kind` is the word that chooses it there. `compute`
gets a `Reader`, which answers as of each row's moment, so a feature cannot look ahead. Values are
float64 [n_rows]; NaN is the missing value, which LightGBM handles by itself.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, ConfigDict, Field

from features.counter_spec import EVER, ITEM, USER, CounterSpec
from features.reader import Key, Reader

Columns = Mapping[str, np.ndarray]
CHECKED = ConfigDict(extra="forbid")
"""Pydantic configuration of the kinds: an unknown parameter is an error."""

Days = Annotated[int, Field(ge=EVER, le=3650)]
"""Length of a window in days; 0 is all time."""
Window = Annotated[int, Field(ge=1, le=3650)]
"""Length of a window in days, not all time."""
Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""Events that a prior counts for."""
Newest = Annotated[int, Field(ge=1, le=1000)]
"""Interactions of the history to look at, the newest first."""


def _one_owner(key: Key) -> Key:
    pair = len(key) == 2 and key[0] == USER and key[1] != USER
    if not (pair or len(key) == 1):
        message = (
            f"key {list(key)}; a key is one of {ITEM}, {USER} and the item's attributes, "
            f"or {USER} and one of the others"
        )
        raise ValueError(message)
    return key


KeyParts = Annotated[Key, AfterValidator(_one_owner)]
"""Whose events are counted: `["item"]`, `["user"]`, `["category"]`, `["user", "item"]`, ..."""


@dataclass(frozen=True)
class Description:
    """Documentation of a column.

    Attributes:
        meaning: One sentence.
        unit: Unit of the values.
        missing: When there is no value.
        window: The time the value looks back on.
        sources: Kinds of event it is computed from; empty when from none.
        is_code: Whether values are codes without order.
        dtype: Type in files; every column is a float32, so that NaN can mean missing.
    """

    meaning: str
    unit: str
    missing: str = "never"
    window: str = "none"
    sources: tuple[str, ...] = ()
    is_code: bool = False
    dtype: str = "float32"


class Feature(ABC):
    """A declared feature: its name, its documentation, what it reads, and its value."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of the column."""

    @abstractmethod
    def describe(self) -> Description:
        """Meaning, unit, sources and missing values of the column."""

    @abstractmethod
    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Column, float64 [n_rows]; `done` holds the columns declared before it."""

    @property
    def meaning(self) -> str:
        """One sentence with the unit."""
        described = self.describe()
        return f"{described.meaning}; {described.unit}"

    @property
    def after(self) -> str | None:
        """Name of the column that must be declared before this one."""
        return None

    def needs(self) -> list[CounterSpec]:
        """The counters it reads."""
        return []

    def rates(self) -> list[tuple[str, str]]:
        """Pairs of kinds whose overall rate, a snapshot's, it reads."""
        return []

    def reads_snapshot(self) -> bool:
        """Whether it reads the last snapshot."""
        return bool(self.rates())

    def attributes(self) -> list[str]:
        """The columns of items it reads as values of their own."""
        parts = [part for spec in self.needs() for part in spec.key]
        return [part for part in dict.fromkeys(parts) if part not in (ITEM, USER)]

    @property
    def coded(self) -> str | None:
        """The column of items whose codes are its values; None when they are no codes."""
        return None

    def numbers(self) -> list[str]:
        """The columns of items it reads as numbers."""
        return []

    def lists(self) -> list[str]:
        """The columns of items it reads as lists."""
        return []

    def given(self) -> list[str]:
        """The caller-supplied numbers it reads."""
        return []

    def context(self) -> list[str]:
        """The words of the request's context it reads."""
        return []


def declaration(feature: Feature) -> dict[str, Any]:
    """Declaration of a feature as its table in `recsys.toml`: the kind, then the parameters."""
    parameters = {name: value for name, value in vars(feature).items() if not name.startswith("_")}
    table = {"kind": parameters.pop("kind"), **parameters}
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in table.items()
    }


def window(days: int) -> str:
    """Name a window in a column's name."""
    return "ever" if days == EVER else f"{days}d"


def period(days: int) -> str:
    """Name a window in a sentence."""
    return "ever" if days == EVER else f"in the last {'day' if days == 1 else f'{days} days'}"


def span(days: int) -> str:
    """Name a window by itself."""
    return "ever" if days == EVER else f"{days} day{'' if days == 1 else 's'}"


def label(key: Key) -> str:
    """Name a key in a column's name."""
    return "_".join(key)


def owner(key: Key) -> str:
    """Name a key in a sentence."""
    parts = {ITEM: "this item", USER: "this user"}
    return " and ".join(parts.get(part, f"the item's {part}") for part in key)


def unknown(key: Key) -> str:
    """Condition in words under which a key is unknown."""
    parts = {ITEM: "the item is unknown", USER: "the user is a guest"}
    return " or ".join(parts.get(part, f"the item has no {part}") for part in key)
