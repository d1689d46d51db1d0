"""Vocabulary of the simulated shop: product families, brands, styles and occasions, from TOML.

In every text `{a|b|c}` is one of its alternatives.
"""

import tomllib
from functools import cache, cached_property
from importlib.resources import files

import numpy as np
from pydantic import BaseModel, ConfigDict

_FILES = ("families.toml", "styles.toml", "occasions.toml")


class Family(BaseModel):
    """A kind of product.

    Attributes:
        category: The shop's category, shared by several families.
        price: Usual price, in the shop's currency.
        nouns: Names that shops give it; the first is its name in the truth.
        materials: Materials it is made of.
        details: Predicates of a description, to follow `It`.
        consumable: Whether people use it up and buy it again.
        pack: Container of goods without a look of their own; None for others.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    category: str
    price: float
    nouns: tuple[str, ...]
    materials: tuple[str, ...]
    details: tuple[str, ...]
    consumable: bool = False
    pack: str | None = None

    @property
    def name(self) -> str:
        """The name in the truth."""
        return self.nouns[0]


class Style(BaseModel):
    """A look, and the many ways a shop writes about it.

    Attributes:
        name: Name in the truth; items need not use it.
        appeal: Relative number of users who like it.
        adjectives: Words before the noun of a title.
        words: Adjectives of a description.
        motifs: Nouns after `with` in a title.
        lines: Sentences of a description.
        colours: The palette.
        rare_in: Categories in which it is seldom found.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    appeal: float
    adjectives: tuple[str, ...]
    words: tuple[str, ...]
    motifs: tuple[str, ...]
    lines: tuple[str, ...]
    colours: tuple[str, ...]
    rare_in: tuple[str, ...] = ()


class Occasion(BaseModel):
    """A reason to buy, and the many ways a shop writes about it.

    Attributes:
        name: Name in the truth; items need not use it.
        endings: Ends of a title.
        lines: Sentences of a description.
        queries: Words of users who search for it.
        frequent_in: Categories in which it is often found.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    endings: tuple[str, ...]
    lines: tuple[str, ...]
    queries: tuple[str, ...]
    frequent_in: tuple[str, ...]


class Vocabulary(BaseModel):
    """The families, brands, styles and occasions; items and users refer to them by index."""

    model_config = ConfigDict(extra="forbid", frozen=True)

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
