"""Incoming events: as callers send them, encoded, and pending until the clock has passed them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import compress
from typing import NamedTuple

import numpy as np

FIELDS = ("known", "time", "id_hash", "visit_hash", "user", "item", "kind", "value")
"""The numbers of an interaction: the last instant before it was known and when it happened, UTC
microseconds; 63 bits for its identifier and for its session, 0 without one; the user's code,
`MISSING` for a guest; the item's place, `MISSING` when the catalogue does not have it; the kind's
place; millionths of its value."""


@dataclass(frozen=True)
class IncomingEvents:
    """Interactions as callers send them, column by column, all of one length.

    Attributes:
        event_id: Identifiers; a repeat on the same UTC day is a duplicate.
        kind: What was done; kinds that no feature reads are ignored.
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

    def between(self, start: int, end: int) -> "IncomingEvents":
        """Interactions `start` to `end` of these."""
        return IncomingEvents(
            self.event_id[start:end],
            self.kind[start:end],
            self.user_id[start:end],
            self.item_id[start:end],
            self.session_id[start:end],
            self.time[start:end],
            self.ingested[start:end],
            self.value[start:end],
        )

    def where(self, kept: Sequence[bool]) -> "IncomingEvents":
        """Select interactions by a mask."""
        return IncomingEvents(
            *(list(compress(getattr(self, each.name), kept)) for each in fields(self))
        )


@dataclass(frozen=True)
class EncodedEvents:
    """Interactions with their identifiers replaced by numbers.

    Attributes:
        event_id: Their identifiers, which order what is equal otherwise.
        numbers: int64 [n_fields, n], what `FIELDS` names.
    """

    event_id: Sequence[str]
    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.event_id)

    def column(self, name: str) -> np.ndarray:
        """Field of all, int64 [n]."""
        values: np.ndarray = self.numbers[FIELDS.index(name)]
        return values

    def take(self, places: np.ndarray) -> "EncodedEvents":
        """Select some, in the given order."""
        return EncodedEvents([self.event_id[n] for n in places.tolist()], self.numbers[:, places])

    def rows(self) -> list[list[int]]:
        """Numbers of each, in the order of `FIELDS`."""
        rows: list[list[int]] = self.numbers.T.tolist()
        return rows

    def in_order(self) -> "EncodedEvents":
        """Sort by the order in which they count: known, time, identifier."""
        if len(self) < 2:
            return self
        known, time = self.column("known"), self.column("time")
        later = (known[1:] > known[:-1]) | ((known[1:] == known[:-1]) & (time[1:] > time[:-1]))
        if later.all():
            return self
        keys = list(zip(known.tolist(), time.tolist(), self.event_id, strict=True))
        return self.take(np.array(sorted(range(len(self)), key=keys.__getitem__)))

    @classmethod
    def join(cls, parts: Sequence["EncodedEvents"]) -> "EncodedEvents":
        """Concatenate interactions."""
        if len(parts) == 1:
            return parts[0]
        numbers = [np.zeros((len(FIELDS), 0), np.int64), *(part.numbers for part in parts)]
        return cls([each for part in parts for each in part.event_id], np.hstack(numbers))


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


class PendingEvents:
    """Events that the clock has not passed yet; all are known within a day of their folding."""

    def __init__(self) -> None:
        self.arrivals: list[EncodedEvents] = []
        self.shown: list[ShownSlate] = []

    def __len__(self) -> int:
        return sum(map(len, self.arrivals)) + len(self.shown)

    def first(self) -> int | None:
        """First instant of a pending event; None without any."""
        known = [int(part.column("known").min()) for part in self.arrivals]
        return min(known + [each.known for each in self.shown], default=None)

    def users(self) -> set[int]:
        """Codes of the users of pending events."""
        users = {user for part in self.arrivals for user in part.column("user").tolist()}
        return users | {each.user for each in self.shown}

    def add(self, arrivals: EncodedEvents) -> None:
        """Add interactions."""
        if len(arrivals):
            self.arrivals.append(arrivals)

    def take(self, before: int) -> tuple[EncodedEvents, list[ShownSlate]]:
        """Take out what was known before an instant, interactions in the order they count."""
        shown, self.shown = _split(self.shown, before)
        arrivals = EncodedEvents.join(self.arrivals)
        self.arrivals = []
        early = arrivals.column("known") < before
        if not early.all():
            self.add(arrivals.take(np.flatnonzero(~early)))
            arrivals = arrivals.take(np.flatnonzero(early))
        return arrivals.in_order(), shown


def _split(slates: list[ShownSlate], before: int) -> tuple[list[ShownSlate], list[ShownSlate]]:
    early = [each for each in slates if each.known < before]
    if len(early) == len(slates):
        return slates, []
    return early, [each for each in slates if each.known >= before]
