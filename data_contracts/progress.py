"""How long work tells that it goes on, without knowing who watches."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Track(Protocol):
    """Passes the steps of a long job through, showing how far it is."""

    def __call__(self, steps: Iterable[T], label: str, total: int) -> Iterable[T]:
        """Yield each of `steps`, of which there are `total`, under the name `label`."""
        ...


def silent(steps: Iterable[T], label: str, total: int) -> Iterable[T]:
    """Pass the steps through and show nothing."""
    return steps
