"""Attribution in a log: its impressions and interactions, block by block, as they became known."""

import numpy as np
import polars as pl

from data_contracts.events import Impressions, Interactions
from features.arrays.clock import NO_TIME, instant
from features.arrays.key_index import MISSING
from features.log.attribution.index import ImpressionIndex, Slates
from features.log.attribution.loops import Taken
from features.log.catalogue import encode
from features.log.events import SESSION, Events
from features.log.requests import shown_times

_TIME, _KNOWN = "time", "known"
_WAYS = ("by request", "by user", "by session")


def code_of_taken() -> pl.Expr:
    """Code by which an interaction's impression is found, int64; null without any."""
    ways = (Interactions.request_id, Interactions.user_id, Interactions.session_id)
    return pl.coalesce(*(_code(way.name, seed) for seed, way in enumerate(ways)))


def _code(name: str, seed: int) -> pl.Expr:
    """Hash a column of identifiers, int64, 0 or more; null where it is null."""
    column = pl.col(name)
    return pl.when(column.is_not_null()).then((column.hash(seed) // 2).cast(pl.Int64))


class LogAttribution:
    """Decides which impressions of a log led to interactions.

    Memory holds the impressions of a block of days and the index of two windows.

    Args:
        impressions: A table that keeps the contract of impressions.
        item_ids: The items of the log.
        user_ids: The users of the log.
        late_days: Impressions that arrived later than so many days never count.
        window: The attribution window, in microseconds.
    """

    def __init__(
        self,
        impressions: pl.LazyFrame,
        item_ids: pl.Series,
        user_ids: pl.Series,
        late_days: int,
        window: int,
    ) -> None:
        ways = (Impressions.request_id, Impressions.user_id, Impressions.session_id)
        self._item_ids, self._user_ids = item_ids, user_ids
        self._impressions = impressions.select(
            Impressions.request_id.name,
            Impressions.user_id.name,
            Impressions.item_id.name,
            Impressions.timestamp.name,
            *shown_times(late_days),
            *(_code(way.name, seed).alias(_WAYS[seed]) for seed, way in enumerate(ways)),
        ).filter(pl.col(_KNOWN) < pl.col(_TIME) + window)
        self._index = ImpressionIndex(window)
        self._read_until = NO_TIME
        self._waiting: list[pl.DataFrame] = []

    def until(self, moment: int, taken: Events, code: np.ndarray) -> Events:
        """Decide which impressions led to interactions that became known since the last call.

        Args:
            moment: UTC microseconds, later than that of the last call.
            taken: The interactions that became known since and before the moment, in that order;
                derived events among them are left out.
            code: int64 [n], by which the impression of each is found; `MISSING` without any.

        Returns:
            Derived events, in the order in which they became known.
        """
        kinds = taken.kinds
        n_kinds = kinds.index(SESSION)
        rows = np.flatnonzero(taken.kind < n_kinds)
        own = taken.take(rows)
        led = self._index.decide(
            self._slates(moment),
            Taken(
                code[rows],
                own.time,
                own.known,
                own.item.astype(np.int64),
                own.kind.astype(np.int64),
            ),
            moment,
        )
        return Events(
            led.time,
            led.known,
            led.user.astype(np.int32),
            led.item.astype(np.int32),
            (led.kind + n_kinds + 1).astype(np.int16),
            np.full(len(led.time), MISSING, np.int64),
            led.shown_known,
            kinds,
        )

    def _slates(self, moment: int) -> Slates:
        """Read the impressions that became known since the last call and before a moment."""
        time = Impressions.timestamp.col
        since = [] if self._read_until == NO_TIME else [time >= instant(self._read_until)]
        new = self._impressions.filter(*since, time < instant(moment)).collect()
        self._read_until = moment
        both = pl.concat([*self._waiting, new.drop(Impressions.timestamp.name)])
        known = pl.col(_KNOWN)
        self._waiting = [both.filter(known >= moment)]
        frame = both.filter(known < moment).sort(
            _KNOWN, _TIME, Impressions.request_id.name, descending=[False, True, False]
        )
        request, times = frame[_WAYS[0]].to_numpy(), frame[_KNOWN].to_numpy()
        begins = (request[1:] != request[:-1]) | (times[1:] != times[:-1])
        starts = np.flatnonzero(np.append(True, begins)) if len(times) else np.zeros(0, np.int64)
        first = frame[starts]
        return Slates(
            first.select(pl.col(_WAYS).fill_null(MISSING)).to_numpy(),
            first[_TIME].to_numpy(),
            first[_KNOWN].to_numpy(),
            encode(first[Impressions.user_id.name], self._user_ids),
            np.append(starts, frame.height),
            encode(frame[Impressions.item_id.name], self._item_ids),
        )
