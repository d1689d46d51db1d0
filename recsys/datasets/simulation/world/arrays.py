"""Dataclasses of arrays that are aligned along their first axis."""

from collections.abc import Sequence
from dataclasses import is_dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def concatenate(parts: Sequence[T]) -> T:
    """Join dataclasses of one type array by array; other fields are those of the first part."""
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name, value in vars(parts[0]).items()
        if isinstance(value, np.ndarray)
    }
    return replace(parts[0], **joined)


def between(whole: T, first: int, end: int) -> T:
    """Slice every array of a dataclass and of the dataclasses in it; other fields stay."""
    parts: dict[str, object] = {}
    for name, value in vars(whole).items():
        if isinstance(value, np.ndarray):
            parts[name] = value[first:end]
        elif is_dataclass(value) and not isinstance(value, type):
            parts[name] = between(value, first, end)
    return replace(whole, **parts)
