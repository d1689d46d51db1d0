"""Ranking rows, the candidates of each request, and what was shown as events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import polars as pl

from data_contracts.events import Impressions
from features.arrays.clock import DAY, NEVER
from features.log.catalogue import encode
from features.log.end import AHEAD
from features.log.events import Events, impressions_of, known_time, lateness

_TIME, _KNOWN = "time", "known"


@dataclass(frozen=True)
class Rows:
    """Ranking rows of some requests: what features are computed for.

    Attributes:
        request_time: int64 [n_requests], UTC microseconds.
        request_user: int32 [n_requests]; `MISSING` for a guest, `len(users)` or more for a user
            without any event.
        offsets: int64 [n_requests + 1], where the rows of each request begin.
        item: int32 [n_rows], code; `MISSING` for an item that the log has not named.
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


def shown_times(late_days: int) -> list[pl.Expr]:
    """Times of impressions as of events: `time` and `known`, UTC microseconds.

    Args:
        late_days: Impressions that arrived later than so many days, or were dated too far ahead of
            their arrival, never count: their `known` is `NEVER`.

    Returns:
        Two expressions on impressions.
    """
    counts = lateness().is_between(-AHEAD, late_days * DAY)
    known = pl.when(counts).then(known_time()).otherwise(NEVER)
    return [Impressions.timestamp.col.dt.timestamp("us").alias(_TIME), known.alias(_KNOWN)]


@dataclass(frozen=True)
class EncodedRequests:
    """Requests of some days with their identifiers, row by row.

    Attributes:
        rows: The requests as arrays.
        frame: request_id, item_id, user_id, timestamp, position of each row, aligned.
        known: int64 [n_rows], the last instant before it was known that a row was shown, UTC
            microseconds; `NEVER` for one that arrived too late to count.
    """

    rows: Rows
    frame: pl.DataFrame
    known: np.ndarray

    def events(self) -> Events:
        """Rows as events of the kind `impression` that became known on the day of their request."""
        rows, day = self.rows, self.rows.time // DAY
        user, item = rows.request_user[rows.request], rows.item
        if (self.known == rows.time).all():
            return impressions_of(rows.time, self.known, user, item)
        today = np.flatnonzero(self.known // DAY == day)
        today = today[np.argsort(self.known[today], kind="stable")]
        return impressions_of(rows.time[today], self.known[today], user[today], item[today])


def read_requests(
    impressions: pl.LazyFrame,
    item_ids: pl.Series,
    user_ids: pl.Series,
    given: Sequence[str] = (),
    context: Sequence[str] = (),
    late_days: int = 0,
) -> EncodedRequests:
    """Read impressions into requests, in order of time, request and position.

    Args:
        impressions: A table that keeps the contract of impressions.
        item_ids: The catalogue's items.
        user_ids: The users of the log.
        given: Keys of the impression's context that are caller-supplied numbers.
        context: Keys of the impression's context whose words are read.
        late_days: Impressions that arrived later than so many days never count as events.

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
            shown_times(late_days)[1],
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
    return EncodedRequests(rows, frame.drop(_KNOWN, *read), frame[_KNOWN].to_numpy())


def read_impressions(
    impressions: pl.LazyFrame,
    item_ids: pl.Series,
    user_ids: pl.Series,
    late_days: int,
    *,
    late: bool = False,
) -> Events:
    """Read impressions as events alone, for days whose rows are not written.

    Args:
        impressions: A table that keeps the contract of impressions.
        item_ids: The catalogue's items.
        user_ids: The users of the log.
        late_days: Impressions that arrived later than so many days never count.
        late: Whether to read those that became known on a later day than that of their request, or
            never; else the others are read.

    Returns:
        The events, in the order in which they became known.
    """
    user, item = Impressions.user_id.name, Impressions.item_id.name
    of_later_day = pl.col(_KNOWN) // DAY != pl.col(_TIME) // DAY
    frame = (
        impressions.select(*shown_times(late_days), user, item)
        .filter(of_later_day if late else ~of_later_day)
        .collect()
    )
    order = np.argsort(frame[_KNOWN].to_numpy(), kind="stable")
    return impressions_of(
        frame[_TIME].to_numpy()[order],
        frame[_KNOWN].to_numpy()[order],
        encode(frame[user], user_ids)[order],
        encode(frame[item], item_ids)[order],
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
    value = _context_word(name).cast(pl.Float32, strict=False)
    missing = float("nan")
    return pl.when(value.is_finite()).then(value).otherwise(missing).alias(_given_column(name))
