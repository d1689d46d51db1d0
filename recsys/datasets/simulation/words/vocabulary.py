"""Vocabulary of the simulated shop: product families, brands, styles and occasions, from TOML.

In every text `{a|b|c}` is one of its alternatives.
"""

import tomllib
from functools import cache, cached_property
from importlib.resources import files

import numpy as np
from pydantic import BaseModel, Field

_FILES = ("families.toml", "styles.toml", "occasions.toml")


class Family(BaseModel, extra="forbid", frozen=True):
    """A kind of product."""

    category: str = Field(description="The shop's category, shared by several families.")
    price: float = Field(description="Usual price, in the shop's currency.")
    nouns: tuple[str, ...] = Field(
        description="Names that shops give it; the first is its name in the truth."
    )
    materials: tuple[str, ...] = Field(description="Materials it is made of.")
    details: tuple[str, ...] = Field(description="Predicates of a description, to follow `It`.")
    consumable: bool = Field(False, description="Whether people use it up and buy it again.")
    pack: str | None = Field(
        None, description="Container of goods without a look of their own; None for others."
    )

    @property
    def name(self) -> str:
        """The name in the truth."""
        return self.nouns[0]


class Style(BaseModel, extra="forbid", frozen=True):
    """A look, and the many ways a shop writes about it."""

    name: str = Field(description="Name in the truth; items need not use it.")
    appeal: float = Field(description="Relative number of users who like it.")
    adjectives: tuple[str, ...] = Field(description="Words before the noun of a title.")
    words: tuple[str, ...] = Field(description="Adjectives of a description.")
    motifs: tuple[str, ...] = Field(description="Nouns after `with` in a title.")
    lines: tuple[str, ...] = Field(description="Sentences of a description.")
    colours: tuple[str, ...] = Field(description="The palette.")
    rare_in: tuple[str, ...] = Field((), description="Categories in which it is seldom found.")


class Occasion(BaseModel, extra="forbid", frozen=True):
    """A reason to buy, and the many ways a shop writes about it."""

    name: str = Field(description="Name in the truth; items need not use it.")
    endings: tuple[str, ...] = Field(description="Ends of a title.")
    lines: tuple[str, ...] = Field(description="Sentences of a description.")
    queries: tuple[str, ...] = Field(description="Words of users who search for it.")
    frequent_in: tuple[str, ...] = Field(description="Categories in which it is often found.")


class Vocabulary(BaseModel, extra="forbid", frozen=True):
    """The families, brands, styles and occasions; items and users refer to them by index."""

    families: tuple[Family, ...]
    brands: tuple[str, ...]
    styles: tuple[Style, ...]
    occasions: tuple[Occasion, ...]

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """Categories of the families, each once."""
        return tuple(dict.fromkeys(family.category for family in self.families))

    @cached_property
    def family_category(self) -> np.ndarray:
        """Category of each family; int64 [n_families], index into `categories`."""
        return np.array([self.categories.index(family.category) for family in self.families])


@cache
def vocabulary() -> Vocabulary:
    """Read the vocabulary from the package's files, once per process."""
    folder = files("recsys.datasets.simulation.words")
    tables = [tomllib.loads((folder / name).read_text(encoding="utf-8")) for name in _FILES]
    return Vocabulary.model_validate({key: table[key] for table in tables for key in table})
