"""Encoding of a log's tables: arrays, with ids replaced by their places."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from data_contracts.errors import DataError
from data_contracts.events import Interactions
from data_contracts.items import Items
from features.arrays.clock import DAY
from features.arrays.key_index import MISSING
from features.log.attribution.log import code_of_taken
from features.log.catalogue import encode
from features.log.end import AHEAD, known_before
from features.log.events import (
    FIXED_POINT,
    SESSION,
    Events,
    event_kinds,
    is_no_copy,
    known_time,
    lateness,
)
from features.log.item_columns import KNOWN, PRICE_BAND, SINCE, TEXT, item_versions

_VISITS_A_DAY = 1 << 32
_TIME, _KNOWN, _LATENESS, _DAY, _VISIT = "time", "known", "lateness", "day", "visit"
_CODE = "code of its impression"


@dataclass(frozen=True)
class LogTables:
    """Tables of a log, each as its contract says, and what features read of them.

    Attributes:
        items: The items.
        impressions: The impressions.
        interactions: The interactions.
        columns: Columns of items that features read.
        kinds: Kinds of interaction that features need, weakest first.
        text_keys: Names the text of each row of a table of items, null without text; None where
            nobody reads texts.
    """

    items: pl.LazyFrame
    impressions: pl.LazyFrame
    interactions: pl.LazyFrame
    columns: Sequence[str]
    kinds: Sequence[str]
    text_keys: Callable[[pl.DataFrame], pl.Series] | None = None

    def versions(self) -> pl.DataFrame:
        """Versions of the items, with all columns that a catalogue is made of."""
        items = self.items.collect()
        if self.text_keys is not None:
            items = items.with_columns(self.text_keys(items).alias(TEXT))
        return item_versions(items).select(
            Items.item_id.name,
            KNOWN,
            SINCE,
            Items.deleted.name,
            Items.price.name,
            Items.listed_at.name,
            *(name for name in self.item_columns if name not in (PRICE_BAND, Items.price.name)),
        )

    @property
    def item_columns(self) -> list[str]:
        """Columns of items that become part of the catalogue."""
        return [*self.columns, *([] if self.text_keys is None else [TEXT])]

    def until(self, end: int) -> "LogTables":
        """Leave out what lies beyond the log's end: is dated or became known then or later.

        Args:
            end: From `log_end`, UTC microseconds.

        Returns:
            The tables of the log alone.
        """
        return replace(
            self,
            impressions=self.impressions.filter(known_before(end)),
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
        code: int64 [n_events], by which the impression of each is found; `MISSING` without any.
        late: Interactions that arrived later than the features wait for.
        ahead: Interactions dated too far ahead of their arrival.
        duplicates: Further copies of an event of the same day.
    """

    events: Events
    code: np.ndarray
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
    names = event_kinds(kinds)
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
    code = frame.select(code_of_taken().fill_null(MISSING).alias(_CODE))[_CODE].to_numpy()
    return EncodedInteractions(events, code, late, ahead, in_time.height - once.height)


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
    user, session = Interactions.user_id.col, Interactions.session_id.col
    value = (Interactions.value.col * FIXED_POINT).round().cast(pl.Int64, strict=False).fill_null(0)
    return interactions.filter(Interactions.kind.col.is_in(list(kinds))).select(
        Interactions.event_id.name,
        Interactions.kind.name,
        user,
        session,
        Interactions.item_id.name,
        Interactions.request_id.name,
        time.alias(_TIME),
        known_time().alias(_KNOWN),
        lateness().alias(_LATENESS),
        (time // DAY).alias(_DAY),
        pl.coalesce("s" + session, "u" + user).alias(_VISIT),
        value.alias(Interactions.value.name),
    )


def _visit_numbers(frame: pl.DataFrame) -> np.ndarray:
    """Number the visits, int64: the day and the place of the visit's name as one number."""
    number = pl.col(_DAY) * _VISITS_A_DAY + pl.col(_VISIT).rank("dense").cast(pl.Int64)
    return frame.select(number.fill_null(MISSING).alias(_VISIT))[_VISIT].to_numpy()
