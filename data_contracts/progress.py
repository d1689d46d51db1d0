"""Progress of long work: the callable that callers pass in to show it."""

from collections.abc import Iterable
from typing import Protocol, TypeVar, runtime_checkable

T = TypeVar("T")


@runtime_checkable
class OfRows(Protocol):
    """A step that stands for so many rows; any other step stands for one."""

    @property
    def rows(self) -> int:
        """How many rows."""
        ...


class Track(Protocol):
    """Passes the steps of a long job through, showing how far it is."""

    def __call__(self, steps: Iterable[T], label: str, total: int) -> Iterable[T]:
        """Yield each of `steps` under the name `label`; together they stand for `total`."""
        ...


def silent(steps: Iterable[T], label: str, total: int) -> Iterable[T]:
    """Pass the steps through and show nothing."""
    return steps
