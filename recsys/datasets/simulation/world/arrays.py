"""Dataclasses of arrays that are aligned along their first axis."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def concatenate(parts: Sequence[T]) -> T:
    """Join dataclasses of one type array by array; other fields are those of the first part."""
    return _each(parts[0], lambda name: np.concatenate([getattr(part, name) for part in parts]))


def between(whole: T, first: int, end: int) -> T:
    """Slice every array of a dataclass; other fields stay."""
    return _each(whole, lambda name: getattr(whole, name)[first:end])


def _each(example: T, array: Callable[[str], np.ndarray]) -> T:
    values = ((name, getattr(example, name)) for name in (f.name for f in fields(example)))
    return type(example)(
        *(array(name) if isinstance(value, np.ndarray) else value for name, value in values)
    )
