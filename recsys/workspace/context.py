"""Context of a log's impressions: whether it has what features read of it."""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from data_contracts.errors import DataError
from data_contracts.events import Impressions
from data_contracts.names import meant
from features.feature_set import FeatureSet

CONTEXT_RULES = ("never_sent", "not_a_number")
_NEVER_SENT, _NO_NUMBER = CONTEXT_RULES
_KEY, _VALUE, _BAD, _FIRST = "key", "value", "bad", "first"


@dataclass(frozen=True)
class ContextFault:
    """A key of the context that features read in vain.

    Attributes:
        rule: `never_sent`, or `not_a_number` where a number is declared.
        key: The key.
        count: Impressions whose value is no number; 1 for a key that was never sent.
        told: What was found, and what to do about it.
    """

    rule: str
    key: str
    count: int
    told: str


def context_faults(impressions: pl.LazyFrame, features: FeatureSet) -> Iterator[ContextFault]:
    """Look for the numbers and words that features read in the context of all impressions.

    Args:
        impressions: A table that keeps the contract of impressions.
        features: The features.

    Yields:
        A fault for each key that no impression has, and for each number that is none, or one too
        large for a float32, in some of them.
    """
    if not features.given and not features.context:
        return
    pair = pl.col(Impressions.context.name)
    value = pl.col(_VALUE)
    is_bad = ~value.cast(pl.Float32, strict=False).is_finite().fill_null(value=False)
    found = (
        impressions.select(pair.explode())
        .select(pair.struct.field(_KEY), pair.struct.field(_VALUE))
        .drop_nulls()
        .group_by(_KEY)
        .agg(is_bad.sum().alias(_BAD), value.filter(is_bad).first().alias(_FIRST))
        .collect(engine="streaming")
    )
    keys = {key: (bad, first) for key, bad, first in found.select(_KEY, _BAD, _FIRST).rows()}
    for key in dict.fromkeys((*features.given, *features.context)):
        if key not in keys:
            near = meant(key, keys)
            told = f"no impression has {key!r} in its context{near}: log it, or leave it out"
            yield ContextFault(_NEVER_SENT, key, 1, told)
    for key in features.given:
        bad, first = keys.get(key, (0, None))
        if bad:
            comma = "a decimal comma: write a point" if "," in first else "leave the key out there"
            told = f"{key!r} is {first!r}, no number that a float32 can hold; {comma}"
            yield ContextFault(_NO_NUMBER, key, bad, told)


def require_context(impressions: pl.LazyFrame, features: FeatureSet) -> None:
    """Refuse impressions whose context has not what features read.

    Args:
        impressions: A table that keeps the contract of impressions.
        features: The features.

    Raises:
        DataError: A key was never sent, or holds what is no number where a number is declared.
    """
    for fault in context_faults(impressions, features):
        raise DataError(
            f"{fault.told} ({fault.count:,} times)",
            "each number and word that features read, in the context of the impressions",
            "correct the log, or [features] in recsys.toml; `recsys validate` lists all faults",
        )
