"""Events on their way into the state: encoded, and waiting until the clock has passed them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import compress
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

IN_ORDER = attrgetter("known", "time", "event_id")


@dataclass(frozen=True)
class Incoming:
    """Interactions as callers send them, column by column, all of one length.

    Attributes:
        event_id: Identifiers; a repeat on the same UTC day is a duplicate.
        kind: What was done; kinds that no feature reads are passed by.
        user_id: Who did it; None for a guest.
        item_id: With which item.
        session_id: The visit, or None.
        time: When it happened, UTC microseconds.
        ingested: When it arrived, UTC microseconds; None when it was known at its time.
        value: Price paid for one unit, or None.
    """

    event_id: Sequence[str]
    kind: Sequence[str]
    user_id: Sequence[str | None]
    item_id: Sequence[str]
    session_id: Sequence[str | None]
    time: Sequence[int]
    ingested: Sequence[int | None]
    value: Sequence[float | None]

    def __len__(self) -> int:
        return len(self.event_id)

    def between(self, start: int, end: int) -> "Incoming":
        """Give a run of the interactions."""
        return self._map(lambda column: column[start:end])

    def where(self, kept: Sequence[bool]) -> "Incoming":
        """Give those of the interactions that are told to stay."""
        return self._map(lambda column: list(compress(column, kept)))

    def _map(self, cut: Callable[[Sequence[Any]], Sequence[Any]]) -> "Incoming":
        return Incoming(*(cut(getattr(self, each.name)) for each in fields(self)))


class Arrival(NamedTuple):
    """An interaction with its identifiers replaced by numbers.

    Attributes:
        known: The last instant before it was known, UTC microseconds.
        time: When it happened.
        event_id: Its identifier, which orders what is equal otherwise.
        id_hash: 63 bits for it.
        visit_hash: 63 bits for the session, 0 without one.
        user: Code of the user; `MISSING` for a guest.
        item: Place of the item; `MISSING` when the catalogue does not have it.
        kind: Place in the kinds.
        value: Millionths of its value.
    """

    known: int
    time: int
    event_id: str
    id_hash: int
    visit_hash: int
    user: int
    item: int
    kind: int
    value: int


class ShownSlate(NamedTuple):
    """The candidates of one request, which become impressions.

    Attributes:
        known: Moment of the request, UTC microseconds.
        user: Code of the user; `MISSING` for a guest.
        item: int32 [n_candidates], places in the catalogue.
    """

    known: int
    user: int
    item: np.ndarray


class Waiting:
    """Events that the clock has not passed: nobody can know them yet."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self.shown: list[ShownSlate] = []

    def __len__(self) -> int:
        return len(self.arrivals) + len(self.shown)

    def first(self) -> int | None:
        """Give the first instant at which an event waits, None when none does."""
        both = [each.known for each in self.arrivals] + [each.known for each in self.shown]
        return min(both, default=None)

    def users(self) -> set[int]:
        """Give the codes of the users of what waits."""
        return {each.user for each in self.arrivals} | {each.user for each in self.shown}

    def take(self, before: int) -> tuple[list[Arrival], list[ShownSlate]]:
        """Take out what was known before an instant, interactions in the order they count."""
        arrivals, self.arrivals = _split(self.arrivals, before)
        shown, self.shown = _split_shown(self.shown, before)
        if len(arrivals) > 1:
            arrivals.sort(key=IN_ORDER)
        return arrivals, shown


def _split(events: list[Arrival], before: int) -> tuple[list[Arrival], list[Arrival]]:
    early = [each for each in events if each.known < before]
    if len(early) == len(events):
        return events, []
    return early, [each for each in events if each.known >= before]


def _split_shown(
    slates: list[ShownSlate], before: int
) -> tuple[list[ShownSlate], list[ShownSlate]]:
    early = [each for each in slates if each.known < before]
    if len(early) == len(slates):
        return slates, []
    return early, [each for each in slates if each.known >= before]


def columns_of(arrivals: Iterable[Arrival]) -> dict[str, np.ndarray]:
    """Give the numbers of interactions as arrays, int64 [n], by name of the field."""
    names = [name for name in Arrival._fields if name != "event_id"]
    columns = zip(*arrivals, strict=True)
    by_name = dict(zip(Arrival._fields, columns, strict=True))
    return {name: np.array(by_name[name], np.int64) for name in names}
