"""Incoming events: as callers send them, encoded, and pending until the clock has passed them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import compress
from typing import NamedTuple

import numpy as np

from features.log.attribution.index import NO_SLATES, Slates
from features.log.attribution.loops import WAYS, Taken

FIELDS = ("known", "time", "id_hash", "visit_hash", "user", "item", "kind", "value", "shown_hash")
"""The numbers of an interaction: the last instant before it was known and when it happened, UTC
microseconds; 63 bits for its identifier and for its session, 0 without one; the user's code,
`MISSING` for a guest; the item's code; the kind's place; millionths of its value; 63 bits by which
its impression is found, `MISSING` without any."""


@dataclass(frozen=True)
class IncomingEvents:
    """Interactions as callers send them, column by column, all of one length.

    Attributes:
        event_id: Identifiers; a repeat on the same UTC day is a duplicate.
        kind: What was done; kinds that no feature reads are ignored.
        user_id: Who did it; None for a guest.
        item_id: With which item.
        session_id: The visit, or None.
        request_id: The request that showed the item; None when the caller does not know.
        time: When it happened, UTC microseconds.
        ingested: When it arrived, UTC microseconds; None when it was known at its time.
        value: Price paid for one unit, or None.
    """

    event_id: Sequence[str]
    kind: Sequence[str]
    user_id: Sequence[str | None]
    item_id: Sequence[str]
    session_id: Sequence[str | None]
    request_id: Sequence[str | None]
    time: Sequence[int]
    ingested: Sequence[int | None]
    value: Sequence[float | None]

    def __len__(self) -> int:
        return len(self.event_id)

    def between(self, start: int, end: int) -> "IncomingEvents":
        """Interactions `start` to `end` of these."""
        return IncomingEvents(*(getattr(self, each.name)[start:end] for each in fields(self)))

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

    def taken(self) -> Taken:
        """Give them as attribution reads them."""
        names = ("shown_hash", "time", "known", "item", "kind")
        return Taken(*(np.ascontiguousarray(self.column(name)) for name in names))

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


@dataclass(frozen=True)
class ShownItems:
    """Items that one request showed, as callers send them.

    Attributes:
        request_id: The request.
        item_ids: The items, none twice.
        user_id: Who saw them; None for a guest.
        session_id: The visit, or None.
        time: Moment of the request, UTC microseconds.
        ingested: When it arrived that they were shown; None when it was known at the request.
    """

    request_id: str
    item_ids: Sequence[str]
    user_id: str | None
    session_id: str | None
    time: int
    ingested: int | None = None


class ShownSlate(NamedTuple):
    """The candidates of one request, which become impressions.

    Attributes:
        known: The last instant before it was known, UTC microseconds.
        time: Moment of the request.
        user: Code of the user; `MISSING` for a guest.
        item: int32 [n_candidates], codes.
        request_id: The request, which orders what is equal otherwise.
        codes: int64 [3], 63 bits each for request, user and session; `MISSING` without one.
    """

    known: int
    time: int
    user: int
    item: np.ndarray
    request_id: str
    codes: np.ndarray


def slates_of(shown: Sequence[ShownSlate]) -> Slates:
    """Give slates as attribution reads them, in the order in which they count."""
    if not shown:
        return NO_SLATES
    in_order = sorted(shown, key=lambda each: (each.known, -each.time, each.request_id))
    items = [each.item for each in in_order]
    return Slates(
        np.array([each.codes for each in in_order], np.int64).reshape(-1, WAYS),
        np.array([each.time for each in in_order], np.int64),
        np.array([each.known for each in in_order], np.int64),
        np.array([each.user for each in in_order], np.int32),
        np.cumsum([0, *map(len, items)]),
        np.concatenate([np.zeros(0, np.int32), *items]),
    )


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
