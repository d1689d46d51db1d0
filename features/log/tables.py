"""Encoding of a log's tables: arrays, with ids replaced by their places."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl

from data_contracts.errors import DataError
from data_contracts.events import Impressions, Interactions
from features.arrays.clock import DAY
from features.arrays.key_index import MISSING
from features.log.catalogue import Catalogue, encode
from features.log.end import AHEAD, known_before, shown_before
from features.log.events import FIXED_POINT, SESSION, Events, impressions_of, is_no_copy, known_time
from features.log.requests import Rows

_VISITS_A_DAY = 1 << 32
_TIME, _KNOWN, _LATENESS, _DAY, _VISIT = "time", "known", "lateness", "day", "visit"


@dataclass(frozen=True)
class LogTables:
    """Tables of a log, each as its contract says, and what features read of them.

    Attributes:
        items: The items.
        impressions: The impressions.
        interactions: The interactions.
        columns: Columns of items that features read.
        kinds: Kinds of interaction that features need, weakest first.
    """

    items: pl.LazyFrame
    impressions: pl.LazyFrame
    interactions: pl.LazyFrame
    columns: Sequence[str]
    kinds: Sequence[str]

    @cached_property
    def catalogue(self) -> Catalogue:
        """What features read of the items."""
        return Catalogue.of(self.items.collect(), self.columns)

    def until(self, end: int) -> "LogTables":
        """Leave out what lies beyond the log's end: is dated or became known then or later.

        Args:
            end: From `log_end`, UTC microseconds.

        Returns:
            The tables of the log alone.
        """
        return replace(
            self,
            impressions=self.impressions.filter(shown_before(end)),
            interactions=self.interactions.filter(known_before(end)),
        )

    @property
    def of_kinds(self) -> pl.LazyFrame:
        """The interactions of the kinds that features need."""
        return self.interactions.filter(Interactions.kind.col.is_in(list(self.kinds)))


@dataclass(frozen=True)
class EncodedInteractions:
    """Interactions as arrays, with the number of rows left out.

    Attributes:
        events: The interactions of the asked kinds with the derived `session` events.
        late: Interactions that arrived later than the features wait for.
        ahead: Interactions dated too far ahead of their arrival.
        duplicates: Further copies of an event of the same day.
    """

    events: Events
    late: int
    ahead: int
    duplicates: int


def encode_interactions(
    interactions: pl.LazyFrame,
    item_ids: pl.Series,
    user_ids: pl.Series,
    kinds: Sequence[str],
    late_days: int,
) -> EncodedInteractions:
    """Read the interactions of the given kinds into arrays, with the derived `session` events.

    Interactions that arrived too late, or are dated too far ahead, are set aside first. Of the
    copies of an `event_id` on one UTC day the one known first counts, then the one that happened
    first. A visit is a user's session on one UTC day, or all a user did on a day without a session;
    its event is the interaction of it that was known first.

    Args:
        interactions: A table that keeps the contract of interactions.
        item_ids: The catalogue's items.
        user_ids: The users; events of other users count as a guest's.
        kinds: The kinds to keep.
        late_days: Interactions that arrived later than so many days are set aside.

    Returns:
        The events in the order in which they became known, equal ones by time and `event_id`.

    Raises:
        DataError: Interactions of one `event_id` and day differ in kind, item or user.
    """
    user, session = Interactions.user_id.name, Interactions.session_id.name
    kind, event = Interactions.kind.name, Interactions.event_id.name
    of_kinds = with_times(interactions, kinds).collect()
    in_time = of_kinds.filter(in_time_for(late_days))
    late = int((of_kinds[_LATENESS] > late_days * DAY).sum())
    in_order = in_time.sort(_KNOWN, _TIME, event, maintain_order=True)
    once = in_order.unique([event, _DAY], keep="first", maintain_order=True)
    if once.height < in_order.height:
        _require_copies(in_order)
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
    ahead = of_kinds.height - in_time.height - late
    return EncodedInteractions(events, late, ahead, in_time.height - once.height)


def _require_copies(in_order: pl.DataFrame) -> None:
    """Refuse interactions of one id and day that are no copies of the first of them."""
    event = Interactions.event_id.name
    others = in_order.filter(is_no_copy([event, _DAY]))
    if others.height:
        raise DataError(
            f"{others.height:,} interactions with the event_id of another kind, item or user on "
            f"the same day, the first {others[event][0]!r}",
            "an event_id for each event, and the same one only for its copies",
            "if it is an order's, join it with the line or the item; `recsys validate` lists them",
        )


def in_time_for(late_days: int) -> pl.Expr:
    """Filter on the rows of `with_times`: those that arrived within so many days.

    Those dated further ahead of their arrival than `AHEAD` are left out too.
    """
    return pl.col(_LATENESS).is_between(-AHEAD, late_days * DAY)


def with_times(interactions: pl.LazyFrame, kinds: Sequence[str]) -> pl.LazyFrame:
    """Select the interactions of some kinds, with their times.

    Args:
        interactions: A table that keeps the contract of interactions.
        kinds: The kinds to keep.

    Returns:
        Their identifiers, `time` and `known` (UTC microseconds, as in `Events`), how long after its
        time it arrived, its `day`, its visit, and its value in millionths.
    """
    time = Interactions.timestamp.col.dt.timestamp("us")
    ingested = Interactions.ingested_at.col.dt.timestamp("us")
    user, session = Interactions.user_id.col, Interactions.session_id.col
    value = (Interactions.value.col * FIXED_POINT).round().cast(pl.Int64, strict=False).fill_null(0)
    return interactions.filter(Interactions.kind.col.is_in(list(kinds))).select(
        Interactions.event_id.name,
        Interactions.kind.name,
        user,
        session,
        Interactions.item_id.name,
        time.alias(_TIME),
        known_time().alias(_KNOWN),
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
class EncodedRequests:
    """Requests of some days with their identifiers, row by row.

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
) -> EncodedRequests:
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
    return EncodedRequests(rows, frame.drop(read))


def read_impressions(impressions: pl.LazyFrame, item_ids: pl.Series, user_ids: pl.Series) -> Events:
    """Read impressions as events alone, for days whose rows are not written.

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
    return impressions_of(
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
    value = _context_word(name).cast(pl.Float32, strict=False)
    missing = float("nan")
    return pl.when(value.is_finite()).then(value).otherwise(missing).alias(_given_column(name))
