"""The union of all kinds of features, and its tables `[[features.columns]]` in `recsys.toml`.

To add a kind: write its class in a module of `features/kinds/`, name it here, and give it a test.
"""

from dataclasses import fields
from typing import Annotated, Any, get_args

from pydantic import BeforeValidator, Discriminator

from data_contracts.names import meant
from features.kinds.affinity import Affinity, PriceAgainstUsual
from features.kinds.co_visitation import CoVisitation
from features.kinds.context import ContextWord, Given, LocalTime
from features.kinds.counts import FirstSeen, Rate, Recency, Trend, WindowCount, WindowSum
from features.kinds.history import LastShare, TagAffinity
from features.kinds.item import Age, AttributeCode, AttributeNumber, Price
from features.kinds.repeats import ItemRepeat, RepeatShare, Rhythm
from features.kinds.slate import SlateDifference, SlatePercentile, SlateRank

AnyKind = (
    # Counters of an item, a user, an attribute, or a pair of them.
    WindowCount
    | WindowSum
    | Rate
    | Trend
    | Recency
    | FirstSeen
    # A user and what they tend to.
    | Affinity
    | PriceAgainstUsual
    | LastShare
    | TagAffinity
    | CoVisitation
    # Coming back.
    | RepeatShare
    | Rhythm
    | ItemRepeat
    # The item itself.
    | Price
    | Age
    | AttributeCode
    | AttributeNumber
    # The request.
    | LocalTime
    | ContextWord
    | Given
    # The candidate among the others; after the column they look at.
    | SlateRank
    | SlatePercentile
    | SlateDifference
)

_WORD = "kind"


def kinds() -> dict[str, type]:
    """Class of each kind by its `kind` in `recsys.toml`."""
    return {_default_word(kind): kind for kind in get_args(AnyKind)}


def parameters(kind: type) -> list[str]:
    """List the parameters of a kind."""
    return [field.name for field in fields(kind) if field.name != _WORD]


def _default_word(kind: type) -> str:
    return next(str(field.default) for field in fields(kind) if field.name == _WORD)


def _known_words(table: Any) -> Any:
    """Refuse a table with an unknown kind or parameter, naming it and those that exist."""
    if not isinstance(table, dict):
        return table
    known, word = kinds(), table.get(_WORD)
    if word not in known:
        message = f"kind {word!r} is unknown{meant(word, known)}; kinds are {', '.join(known)}"
        raise ValueError(message)
    mine = parameters(known[word])
    for name in table:
        if name not in (*mine, _WORD):
            takes = ", ".join(mine) or "none"
            message = f"{word} has no parameter {name!r}{meant(name, mine)}; it takes {takes}"
            raise ValueError(message)
    missing = [name for name in mine if name not in table]
    if missing:
        message = f"{word} needs {', '.join(missing)}; it takes {', '.join(mine)}"
        raise ValueError(message)
    return table


Column = Annotated[AnyKind, Discriminator(_WORD), BeforeValidator(_known_words)]
"""A declared column: one of the kinds, with its parameters."""
