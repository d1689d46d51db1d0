"""Identifiers of items, users and requests, and names that `recsys.toml` declares."""

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Annotated, TypeVar

import dataframely as dy
import polars as pl
from pydantic import AfterValidator, StringConstraints

LONGEST_ID = 256
"""Characters of an identifier, in tables as in requests."""

ID_PATTERN = r"^([^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*)?$"
"""Not blank, since that is how a job writes nothing, and without control characters, since an
identifier stands in log lines and file exports. Whether one is empty is told by its length."""

Id = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_ID, pattern=ID_PATTERN)]
"""An identifier in a request; `IdColumn` is the same in a table."""

_FILLERS = "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
"""Printable by Unicode, and nothing to see where they stand alone."""

SEEN = rf"[^\p{{Z}}\p{{C}}{_FILLERS}]"
"""Pattern of polars: what `can_be_seen` looks for, in a column of texts."""

_FILLER = re.compile(f"[ {_FILLERS}]")

LONGEST_NAME = 80
"""Bytes of a name as it stands in the name of a file."""


class IdColumn(dy.String):
    """A column of identifiers, under the rules of `Id`."""

    pattern = ID_PATTERN

    def __init__(
        self, description: str, *, nullable: bool = False, primary_key: bool = False
    ) -> None:
        super().__init__(
            nullable=nullable,
            primary_key=primary_key,
            min_length=1,
            max_length=LONGEST_ID,
            description=description,
        )

    def validation_rules(self, expr: pl.Expr) -> dict[str, pl.Expr]:
        """Give the rules of a text column, its length told in characters, and that of the signs."""
        return {
            **super().validation_rules(expr),
            "max_length": expr.str.len_chars() <= LONGEST_ID,
            "visible": expr.str.contains(self.pattern),
        }


def without_fillers(text: str) -> str:
    """Leave out of a text all signs with nothing to see: blanks, fillers, joiners, controls."""
    return "".join(filter(str.isprintable, _FILLER.sub("", text)))


def can_be_seen(text: str) -> bool:
    """Say whether a text has a sign to see; one that has none counts as no text."""
    return without_fillers(text) != ""


def file_part(name: str) -> str:
    """Write a name so that it can be a part of a file's name; different ones stay different."""
    return name.replace("%", "%25").replace("/", "%2F")


def name_fault(name: str) -> str:
    """Say why `recsys.toml` cannot declare a name; empty when it can."""
    size = len(file_part(name).encode())
    if not 0 < size <= LONGEST_NAME:
        return f"the name {name[:40]!r} takes {size} bytes; a name takes 1 to {LONGEST_NAME}"
    if name != name.strip() or not name.isprintable():
        return f"the name {name!r} has blanks at an end or signs that cannot be seen"
    if name == "*" or (name.startswith("^") and name.endswith("$")):
        return f"the name {name!r} is a pattern for names"
    return ""


def _fits(name: str) -> str:
    if fault := name_fault(name):
        raise ValueError(fault)
    return name


Name = Annotated[str, AfterValidator(_fits)]
"""A name of an attribute, a kind of interaction or a number of the caller's."""


Names = TypeVar("Names", bound=Sequence[str])


def different(names: Names) -> Names:
    """Give names as they are.

    Args:
        names: The names.

    Returns:
        The same.

    Raises:
        ValueError: One of them stands there twice.
    """
    if twice := sorted({name for name in names if names.count(name) > 1}):
        message = f"{', '.join(map(repr, twice))} stands there twice; name each once"
        raise ValueError(message)
    return names


DifferentNames = Annotated[tuple[Name, ...], AfterValidator(different)]
"""Names, none of them twice."""


def meant(word: object, known: Iterable[str]) -> str:
    """Say which of some names may be meant by a word; empty when none is near."""
    by_form = {name.casefold().replace("_", ""): name for name in known}
    near = difflib.get_close_matches(str(word).casefold().replace("_", ""), list(by_form), 1)
    return f", {by_form[near[0]]!r} may be meant" if near else ""
