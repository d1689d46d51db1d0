"""A log as arrays: events and requests, with ids replaced by places in the dictionaries."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import polars as pl

from data_contracts.events import Impressions, Interactions
from features.catalogue import MISSING, encode

IMPRESSION = "impression"
SESSION = "session"
"""Derived kind: a user's first interaction in a session, so that its count is the user's visits."""


@dataclass(frozen=True)
class Events:
    """Events in order of time.

    Attributes:
        time: int64 [n], UTC microseconds from when the event was known, ascending.
        user: int32 [n], place of the user; `MISSING` for a guest.
        item: int32 [n], place of the item; `MISSING` when the catalogue does not have it.
        kind: int16 [n], place in `kinds`.
        session: int32 [n], number of the visit; `MISSING` without one.
        kinds: Names of the kinds.
    """

    time: np.ndarray
    user: np.ndarray
    item: np.ndarray
    kind: np.ndarray
    session: np.ndarray
    kinds: tuple[str, ...]

    def of_kind(self, kind: str) -> "Events":
        """Keep the events of one kind."""
        place = self.kinds.index(kind) if kind in self.kinds else -1
        return self.take(np.flatnonzero(self.kind == place))

    def between(self, start: int, end: int) -> "Events":
        """Keep the events with start <= time < end."""
        low, high = np.searchsorted(self.time, (start, end))
        return self.take(slice(int(low), int(high)))

    def take(self, rows: np.ndarray | slice) -> "Events":
        """Keep some rows, which must be in ascending order."""
        return Events(
            self.time[rows],
            self.user[rows],
            self.item[rows],
            self.kind[rows],
            self.session[rows],
            self.kinds,
        )

    @classmethod
    def none(cls, kinds: tuple[str, ...]) -> "Events":
        """Give a log without events."""
        number, place = np.zeros(0, np.int64), np.zeros(0, np.int32)
        return cls(number, place, place, np.zeros(0, np.int16), place, kinds)

    def __len__(self) -> int:
        return len(self.time)


@dataclass(frozen=True)
class Rows:
    """Ranking rows of some requests: what features are computed for.

    Attributes:
        request_time: int64 [n_requests], UTC microseconds.
        request_user: int32 [n_requests]; `MISSING` for a guest, `len(users)` or more for a user
            without any event.
        offsets: int64 [n_requests + 1], where the rows of each request begin.
        item: int32 [n_rows]; `MISSING` when the catalogue does not have it.
        given: Caller-supplied numbers by name, float32 [n_rows], NaN where not given.
        context: Words of the request's context by key, [n_requests], None where not given.
    """

    request_time: np.ndarray
    request_user: np.ndarray
    offsets: np.ndarray
    item: np.ndarray
    given: Mapping[str, np.ndarray] = field(default_factory=dict)
    context: Mapping[str, Sequence[str | None]] = field(default_factory=dict)

    @cached_property
    def request(self) -> np.ndarray:
        """The request of each row, int64 [n_rows]."""
        return np.repeat(np.arange(len(self.request_time)), np.diff(self.offsets))

    @cached_property
    def time(self) -> np.ndarray:
        """The request's time of each row, int64 [n_rows]."""
        return self.request_time[self.request]

    def __len__(self) -> int:
        return len(self.item)


def encode_interactions(
    interactions: pl.LazyFrame,
    item_ids: pl.Series,
    user_ids: pl.Series,
    kinds: Sequence[str],
) -> Events:
    """Read the interactions of the given kinds into arrays, with the derived `session` events.

    An event that arrived late counts from its arrival: before that nobody could know it. Repeats
    of an `event_id` count once, when it was known first. Events at the same instant stand in the
    order of their ids. Events without a session make one visit per user and day.

    Args:
        interactions: A table that keeps the contract of interactions.
        item_ids: The catalogue's items.
        user_ids: The users; events of other users count as a guest's.
        kinds: The kinds to keep.

    Returns:
        The events in order of time.
    """
    known = pl.max_horizontal(Interactions.timestamp.col, Interactions.ingested_at.col)
    user, session = Interactions.user_id.name, Interactions.session_id.name
    visit = pl.coalesce(session, pl.concat_str(user, known.dt.date(), separator=" "))
    frame = (
        interactions.filter(Interactions.kind.col.is_in(list(kinds)))
        .with_columns(time=known.dt.timestamp("us"), **{session: visit})
        .sort("time", Interactions.event_id.name, maintain_order=True)
        .unique(Interactions.event_id.name, keep="first", maintain_order=True)
        .select(
            "time",
            user,
            session,
            Interactions.item_id.name,
            Interactions.kind.name,
        )
        .collect()
    )
    first = (
        frame.filter(pl.col(session).is_not_null() & pl.col(user).is_not_null())
        .unique([user, session], keep="first", maintain_order=True)
        .with_columns(pl.lit(SESSION).alias(Interactions.kind.name))
    )
    frame = pl.concat([frame, first]).sort("time", maintain_order=True)
    names = (*kinds, SESSION)
    return Events(
        frame["time"].to_numpy(),
        encode(frame[user], user_ids),
        encode(frame[Interactions.item_id.name], item_ids),
        encode(frame[Interactions.kind.name], pl.Series(names)).astype(np.int16),
        frame[session].rank("dense").cast(pl.Int32).fill_null(MISSING).to_numpy(),
        names,
    )


@dataclass(frozen=True)
class Shown:
    """Requests of some days with what names them in the tables; rows stand request by request.

    Attributes:
        rows: The requests as arrays.
        frame: request_id, item_id, user_id, timestamp, position of each row, aligned.
    """

    rows: Rows
    frame: pl.DataFrame


def read_requests(
    impressions: pl.LazyFrame,
    item_ids: pl.Series,
    user_ids: pl.Series,
    given: Sequence[str] = (),
) -> Shown:
    """Read impressions into requests, in order of time, request and position.

    Args:
        impressions: A table that keeps the contract of impressions.
        item_ids: The catalogue's items.
        user_ids: The users of the log.
        given: Keys of the impression's context that are caller-supplied numbers.

    Returns:
        The requests and the columns that name their rows.
    """
    request, time = Impressions.request_id.name, Impressions.timestamp.name
    frame = (
        impressions.select(
            request,
            Impressions.item_id.name,
            Impressions.user_id.name,
            time,
            Impressions.position.name,
            *(_context_number(name) for name in given),
        )
        .sort(time, request, Impressions.position.name)
        .collect()
    )
    starts = np.flatnonzero((frame[request] != frame[request].shift(1)).fill_null(True).to_numpy())
    offsets = np.append(starts, frame.height).astype(np.int64)
    rows = Rows(
        frame[time].dt.timestamp("us").to_numpy()[starts],
        encode(frame[Impressions.user_id.name], user_ids)[starts],
        offsets,
        encode(frame[Impressions.item_id.name], item_ids),
        {name: frame[_given_column(name)].to_numpy() for name in given},
    )
    return Shown(rows, frame.drop([_given_column(name) for name in given]))


def _given_column(name: str) -> str:
    return f"given_{name}"


def _context_number(name: str) -> pl.Expr:
    pair = pl.element()
    value = (
        pl.col(Impressions.context.name)
        .list.eval(pair.filter(pair.struct.field("key") == name).struct.field("value"))
        .list.first()
    )
    return value.cast(pl.Float32, strict=False).fill_null(float("nan")).alias(_given_column(name))


def impression_events(rows: Rows) -> Events:
    """Give the rows of requests as events of the kind `impression`, in order of time."""
    count = len(rows)
    return Events(
        rows.time,
        rows.request_user[rows.request],
        rows.item,
        np.zeros(count, np.int16),
        np.full(count, MISSING, np.int32),
        (IMPRESSION,),
    )


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
    """Leave the derived `session` events out."""
    return (
        events
        if SESSION not in events.kinds
        else events.take(np.flatnonzero(events.kind != events.kinds.index(SESSION)))
    )
