"""Events as arrays."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from data_contracts.events import Interactions
from features.arrays.key_index import MISSING

FIXED_POINT = 1_000_000
"""Log prices and values are summed as integers, in millionths: the same sum in any order."""


IMPRESSION = "impression"
SESSION = "session"
"""Derived kind: the first known interaction of a visit, so that its count is the user's visits."""
_ATTRIBUTED = "attributed."
_MOST_KINDS = 63

EVENT_ARRAYS = ("time", "known", "user", "item", "kind", "session", "value")
"""Names of the arrays of `Events`, in order."""


def attributed(kind: str) -> str:
    """Name the derived kind of impressions that led to an interaction of a kind.

    Its events have the time of the impression, so that in every window they are some of the
    impressions there, and are known once both are. `impression` itself stays as it is.
    """
    return kind if kind == IMPRESSION else f"{_ATTRIBUTED}{kind}"


def is_derived(kind: str) -> bool:
    """Whether events of a kind are made of others, so that no interaction can be of it."""
    return kind in (SESSION, IMPRESSION) or kind.startswith(_ATTRIBUTED)


def event_kinds(kinds: Sequence[str]) -> tuple[str, ...]:
    """Give the kinds of events: the interactions', then `session`, then the attributed ones.

    Args:
        kinds: Kinds of interaction, weakest first.

    Returns:
        All, in the order of their codes.

    Raises:
        ValueError: There are more than 63 kinds of interaction.
    """
    if len(kinds) > _MOST_KINDS:
        message = f"{len(kinds)} kinds of interaction; at most {_MOST_KINDS} can be attributed"
        raise ValueError(message)
    return (*kinds, SESSION, *map(attributed, kinds))


@dataclass(frozen=True)
class Events:
    """Events in the order in which they became known.

    Attributes:
        time: int64 [n], when each happened, UTC microseconds.
        known: int64 [n], the last instant before it was known, ascending: an event is visible at
            every later one. Equal to `time` unless it arrived late.
        user: int32 [n], place of the user; `MISSING` for a guest.
        item: int32 [n], code of the item.
        kind: int16 [n], place in `kinds`.
        session: int64 [n], number of the visit; `MISSING` without one.
        value: int64 [n], millionths of the interaction's value; 0 without one. Of an attributed
            event it is the last instant before its impression was known.
        kinds: Names of the kinds.
    """

    time: np.ndarray
    known: np.ndarray
    user: np.ndarray
    item: np.ndarray
    kind: np.ndarray
    session: np.ndarray
    value: np.ndarray
    kinds: tuple[str, ...]

    @property
    def versioned(self) -> np.ndarray:
        """Moment by whose version of the item each event is counted, int64 [n].

        It is when the event became known; of an attributed one, when its impression did, so that
        both are counted for the same category.
        """
        if SESSION not in self.kinds:
            return self.known
        return np.where(self.kind > self.kinds.index(SESSION), self.value, self.known)

    def of_kind(self, kind: str) -> "Events":
        """Keep the events of one kind."""
        place = self.kinds.index(kind) if kind in self.kinds else -1
        return self.take(np.flatnonzero(self.kind == place))

    def between(self, start: int, end: int) -> "Events":
        """Keep the events with start <= known < end."""
        low, high = np.searchsorted(self.known, (start, end))
        return self.take(slice(int(low), int(high)))

    def take(self, rows: np.ndarray | slice) -> "Events":
        """Select rows, in the given order."""
        return Events.of([getattr(self, name)[rows] for name in EVENT_ARRAYS], self.kinds)

    @classmethod
    def none(cls, kinds: tuple[str, ...]) -> "Events":
        """Log without events."""
        number, place = np.zeros(0, np.int64), np.zeros(0, np.int32)
        return cls(number, number, place, place, np.zeros(0, np.int16), number, number, kinds)

    @classmethod
    def join(cls, parts: Sequence["Events"]) -> "Events":
        """Concatenate events of the same kinds."""
        arrays = [np.concatenate([getattr(part, name) for part in parts]) for name in EVENT_ARRAYS]
        return cls.of(arrays, parts[0].kinds)

    @classmethod
    def of(cls, arrays: Sequence[np.ndarray], kinds: tuple[str, ...]) -> "Events":
        """Events from the arrays that `EVENT_ARRAYS` names."""
        time, known, user, item, kind, session, value = arrays
        return cls(time, known, user, item, kind, session, value, kinds)

    def __len__(self) -> int:
        return len(self.time)


def known_time() -> pl.Expr:
    """Last instant before an event is known, UTC microseconds: `known` in `Events`.

    It is the event's time, or the microsecond before it arrived when that is later.
    """
    arrived = Interactions.ingested_at.col.dt.timestamp("us")
    return pl.max_horizontal(Interactions.timestamp.col.dt.timestamp("us"), arrived - 1)


def lateness() -> pl.Expr:
    """How long after its time an event arrived, in microseconds; 0 for one known at its time."""
    time = Interactions.timestamp.col.dt.timestamp("us")
    return (Interactions.ingested_at.col.dt.timestamp("us") - time).fill_null(0)


def known_time_of(time: int, arrived: int) -> int:
    """`known_time` of one event, from when it happened and arrived, UTC microseconds."""
    return max(time, arrived - 1)


def is_no_copy(key: Sequence[str]) -> pl.Expr:
    """Filter on interactions: those that tell of another event than the first of their key does.

    A copy has the first one's kind, item and user, as far as both have a user.
    """
    told = (Interactions.kind.col, Interactions.item_id.col, Interactions.user_id.col)
    other = [(column != column.first().over(key)).fill_null(value=False) for column in told]
    return pl.any_horizontal(other)


def impressions_of(
    time: np.ndarray, known: np.ndarray, user: np.ndarray, item: np.ndarray
) -> Events:
    """Give impressions as events: int64 times, and when known, ascending; int32 users and items."""
    count = len(time)
    return Events(
        time,
        known,
        user,
        item,
        np.zeros(count, np.int16),
        np.full(count, MISSING, np.int64),
        np.zeros(count, np.int64),
        (IMPRESSION,),
    )


def in_order_of_arrival(parts: Sequence[Events]) -> Events:
    """Join events of the same kinds in the order in which they became known."""
    both = Events.join(parts)
    return both.take(np.lexsort((both.time, both.known)))


def day_blocks(counts: Mapping[int, int], limit: int) -> Iterator[tuple[int, int]]:
    """Cut the days of a log into runs of at most `limit` rows, but of one day at least.

    Args:
        counts: Rows by day number (days since 1970-01-01), in ascending order.
        limit: Rows a run may have.

    Yields:
        First day and the day after the last one of each run.
    """
    first, rows, last = None, 0, 0
    for day, count in counts.items():
        if first is not None and rows + count > limit:
            yield first, last + 1
            first, rows = None, 0
        first = day if first is None else first
        rows, last = rows + count, day
    if first is not None:
        yield first, last + 1


def without_sessions(events: Events) -> Events:
    """Events without the derived ones: of visits, and of impressions that led to others."""
    if SESSION not in events.kinds:
        return events
    return events.take(np.flatnonzero(events.kind < events.kinds.index(SESSION)))
