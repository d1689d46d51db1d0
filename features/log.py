"""A log as arrays: events and requests, with ids replaced by places in the dictionaries."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import polars as pl

from data_contracts.events import Impressions, Interactions
from features.catalogue import MISSING, encode
from features.clock import DAY
from features.counters import UNITS

IMPRESSION = "impression"
SESSION = "session"
"""Derived kind: the first known interaction of a visit, so that its count is the user's visits."""

EVENT_ARRAYS = ("time", "known", "user", "item", "kind", "session", "value")
"""Names of the arrays of `Events`, in order."""

_VISITS_A_DAY = 1 << 32
_TIME, _KNOWN, _LATENESS, _DAY, _VISIT = "time", "known", "lateness", "day", "visit"


@dataclass(frozen=True)
class Events:
    """Events in the order in which they became known.

    Attributes:
        time: int64 [n], when each happened, UTC microseconds.
        known: int64 [n], the last instant before it was known, ascending: an event is visible at
            every later one. Equal to `time` unless it arrived late.
        user: int32 [n], place of the user; `MISSING` for a guest.
        item: int32 [n], place of the item; `MISSING` when the catalogue does not have it.
        kind: int16 [n], place in `kinds`.
        session: int64 [n], number of the visit; `MISSING` without one.
        value: int64 [n], millionths of the interaction's value; 0 without one.
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

    def of_kind(self, kind: str) -> "Events":
        """Keep the events of one kind."""
        place = self.kinds.index(kind) if kind in self.kinds else -1
        return self.take(np.flatnonzero(self.kind == place))

    def between(self, start: int, end: int) -> "Events":
        """Keep the events with start <= known < end."""
        low, high = np.searchsorted(self.known, (start, end))
        return self.take(slice(int(low), int(high)))

    def take(self, rows: np.ndarray | slice) -> "Events":
        """Keep some rows, in the order asked for."""
        return Events(
            self.time[rows],
            self.known[rows],
            self.user[rows],
            self.item[rows],
            self.kind[rows],
            self.session[rows],
            self.value[rows],
            self.kinds,
        )

    @classmethod
    def none(cls, kinds: tuple[str, ...]) -> "Events":
        """Give a log without events."""
        number, place = np.zeros(0, np.int64), np.zeros(0, np.int32)
        return cls(number, number, place, place, np.zeros(0, np.int16), number, number, kinds)

    @classmethod
    def join(cls, parts: Sequence["Events"]) -> "Events":
        """Lay events of the same kinds end to end."""
        arrays = [np.concatenate([getattr(part, name) for part in parts]) for name in EVENT_ARRAYS]
        return cls.of(arrays, parts[0].kinds)

    @classmethod
    def of(cls, arrays: Sequence[np.ndarray], kinds: tuple[str, ...]) -> "Events":
        """Put events together from the arrays that `EVENT_ARRAYS` names."""
        time, known, user, item, kind, session, value = arrays
        return cls(time, known, user, item, kind, session, value, kinds)

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
        if len(self.request_time) == 1:
            return np.zeros(len(self.item), np.int64)
        return np.repeat(np.arange(len(self.request_time)), np.diff(self.offsets))

    @cached_property
    def time(self) -> np.ndarray:
        """The request's time of each row, int64 [n_rows]."""
        return self.request_time[self.request]

    def __len__(self) -> int:
        return len(self.item)


@dataclass(frozen=True)
class Taken:
    """Interactions as arrays, and how many were set aside.

    Attributes:
        events: The interactions of the asked kinds with the derived `session` events.
        late: Interactions that arrived later than the features wait for.
        duplicates: Further copies of an event of the same day.
    """

    events: Events
    late: int
    duplicates: int


def encode_interactions(
    interactions: pl.LazyFrame,
    item_ids: pl.Series,
    user_ids: pl.Series,
    kinds: Sequence[str],
    late_days: int,
) -> Taken:
    """Read the interactions of the given kinds into arrays, with the derived `session` events.

    Interactions that arrived too late are set aside first. Of the copies of an `event_id` on one
    UTC day the one known first counts, then the one that happened first. A visit is a user's
    session on one UTC day, or all a user did on a day without a session; its event is the
    interaction of it that was known first.

    Args:
        interactions: A table that keeps the contract of interactions.
        item_ids: The catalogue's items.
        user_ids: The users; events of other users count as a guest's.
        kinds: The kinds to keep.
        late_days: Interactions that arrived later than so many days are set aside.

    Returns:
        The events in the order in which they became known, equal ones by time and `event_id`.
    """
    user, session = Interactions.user_id.name, Interactions.session_id.name
    kind, event = Interactions.kind.name, Interactions.event_id.name
    of_kinds = with_times(interactions, kinds).collect()
    in_time = of_kinds.filter(in_time_for(late_days))
    once = in_time.sort(_KNOWN, _TIME, event, maintain_order=True).unique(
        [event, _DAY], keep="first", maintain_order=True
    )
    visits = (
        once.filter(pl.col(_VISIT).is_not_null() & pl.col(user).is_not_null())
        .unique([user, session, _DAY], keep="first", maintain_order=True)
        .with_columns(pl.lit(SESSION).alias(kind))
    )
    frame = pl.concat([once, visits]).sort(_KNOWN, maintain_order=True)
    names = (*kinds, SESSION)
    events = Events(
        frame[_TIME].to_numpy(),
        frame[_KNOWN].to_numpy(),
        encode(frame[user], user_ids),
        encode(frame[Interactions.item_id.name], item_ids),
        encode(frame[kind], pl.Series(names)).astype(np.int16),
        _visit_numbers(frame),
        frame[Interactions.value.name].to_numpy(),
        names,
    )
    return Taken(events, of_kinds.height - in_time.height, in_time.height - once.height)


def in_time_for(late_days: int) -> pl.Expr:
    """Choose, of the rows of `with_times`, those that arrived within so many days."""
    return pl.col(_LATENESS) <= late_days * DAY


def with_times(interactions: pl.LazyFrame, kinds: Sequence[str]) -> pl.LazyFrame:
    """Give the interactions of some kinds with the times that count.

    Args:
        interactions: A table that keeps the contract of interactions.
        kinds: The kinds to keep.

    Returns:
        What names each, `time` and `known` (UTC microseconds, as in `Events`), how long after its
        time it arrived, its `day`, its visit, and its value in millionths.
    """
    time = Interactions.timestamp.col.dt.timestamp("us")
    ingested = Interactions.ingested_at.col.dt.timestamp("us")
    user, session = Interactions.user_id.col, Interactions.session_id.col
    value = (Interactions.value.col * UNITS).round().cast(pl.Int64, strict=False).fill_null(0)
    return interactions.filter(Interactions.kind.col.is_in(list(kinds))).select(
        Interactions.event_id.name,
        Interactions.kind.name,
        user,
        session,
        Interactions.item_id.name,
        time.alias(_TIME),
        pl.max_horizontal(time, ingested - 1).alias(_KNOWN),
        (ingested - time).fill_null(0).alias(_LATENESS),
        (time // DAY).alias(_DAY),
        pl.coalesce("s" + session, "u" + user).alias(_VISIT),
        value.alias(Interactions.value.name),
    )


def _visit_numbers(frame: pl.DataFrame) -> np.ndarray:
    """Number the visits, int64: the day and the place of the visit's name as one number."""
    number = pl.col(_DAY) * _VISITS_A_DAY + pl.col(_VISIT).rank("dense").cast(pl.Int64)
    return frame.select(number.fill_null(MISSING).alias(_VISIT))[_VISIT].to_numpy()


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
    context: Sequence[str] = (),
) -> Shown:
    """Read impressions into requests, in order of time, request and position.

    Args:
        impressions: A table that keeps the contract of impressions.
        item_ids: The catalogue's items.
        user_ids: The users of the log.
        given: Keys of the impression's context that are caller-supplied numbers.
        context: Keys of the impression's context whose words are read.

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
            *(_context_word(name).alias(_word_column(name)) for name in context),
        )
        .collect()
        # Sorted as a frame: in half the time of a query's sort.
        .sort(time, request, Impressions.position.name)
    )
    starts = np.flatnonzero((frame[request] != frame[request].shift(1)).fill_null(True).to_numpy())
    offsets = np.append(starts, frame.height).astype(np.int64)
    rows = Rows(
        frame[time].dt.timestamp("us").to_numpy()[starts],
        encode(frame[Impressions.user_id.name], user_ids)[starts],
        offsets,
        encode(frame[Impressions.item_id.name], item_ids),
        {name: frame[_given_column(name)].to_numpy() for name in given},
        {name: frame[_word_column(name)].gather(starts).to_list() for name in context},
    )
    read = [*map(_given_column, given), *map(_word_column, context)]
    return Shown(rows, frame.drop(read))


def read_impressions(impressions: pl.LazyFrame, item_ids: pl.Series, user_ids: pl.Series) -> Events:
    """Read impressions as events alone, for states that go on without rows.

    Args:
        impressions: A table that keeps the contract of impressions.
        item_ids: The catalogue's items.
        user_ids: The users of the log.

    Returns:
        The events, in order of time.
    """
    user, item = Impressions.user_id.name, Impressions.item_id.name
    time = Impressions.timestamp.col.dt.timestamp("us").alias(_TIME)
    frame = impressions.select(time, user, item).collect()
    order = np.argsort(frame[_TIME].to_numpy(), kind="stable")
    times = frame[_TIME].to_numpy()[order]
    return _impressions(
        times, encode(frame[user], user_ids)[order], encode(frame[item], item_ids)[order]
    )


def _given_column(name: str) -> str:
    return f"given_{name}"


def _word_column(name: str) -> str:
    return f"word_{name}"


def _context_word(name: str) -> pl.Expr:
    pair = pl.element()
    return (
        pl.col(Impressions.context.name)
        .list.eval(pair.filter(pair.struct.field("key") == name).struct.field("value"))
        .list.first()
    )


def _context_number(name: str) -> pl.Expr:
    value = _context_word(name)
    return value.cast(pl.Float32, strict=False).fill_null(float("nan")).alias(_given_column(name))


def impression_events(rows: Rows) -> Events:
    """Give the rows of requests as events of the kind `impression`, in order of time."""
    return _impressions(rows.time, rows.request_user[rows.request], rows.item)


def _impressions(time: np.ndarray, user: np.ndarray, item: np.ndarray) -> Events:
    count = len(time)
    return Events(
        time,
        time,
        user,
        item,
        np.zeros(count, np.int16),
        np.full(count, MISSING, np.int64),
        np.zeros(count, np.int64),
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
