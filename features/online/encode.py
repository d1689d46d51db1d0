"""Encoding of incoming interactions: identifiers become numbers, late and future ones stay out."""

from collections.abc import Sequence
from itertools import compress, repeat

import numpy as np

from features.arrays.clock import DAY
from features.arrays.key_index import MISSING
from features.log.end import AHEAD
from features.log.events import FIXED_POINT, SESSION, known_time_of
from features.online.dedup import hash_of, visit_hash, way_hash
from features.online.events import (
    FIELDS,
    EncodedEvents,
    IncomingEvents,
    ShownItems,
    ShownSlate,
)
from features.online.items import GrowingCatalogue
from features.online.state import OnlineState

_LARGEST = float(1 << 62)
_WAYS = ("request", "user", "session")
_FITS, _IGNORED, _LATE, _AHEAD = range(4)


class EventEncoder:
    """Encodes interactions for a state, column by column.

    Args:
        state: Knows the users, and which days may still get late events; its tally counts what is
            left out.
        catalogue: The items; those that an interaction names first are added.

    Attributes:
        latest_arrival: Latest arrival so far, UTC microseconds, none after the present; at first
            the state's clock.
    """

    def __init__(self, state: OnlineState, catalogue: GrowingCatalogue) -> None:
        self.latest_arrival = state.clock
        self._state = state
        self._catalogue = catalogue
        self._kinds = {
            kind: place for place, kind in enumerate(state.kinds[: state.kinds.index(SESSION)])
        }

    def encode(self, events: IncomingEvents, now: int) -> EncodedEvents:
        """Replace identifiers by numbers, and leave out unread kinds and impossible times.

        Args:
            events: The interactions.
            now: UTC microseconds.

        Returns:
            Those of kinds that are read, that did not arrive too late and are not dated too far
            ahead, in their order.
        """
        kinds = list(map(self._kinds.get, events.kind))
        both = zip(events.time, events.ingested, strict=True)
        arrived = [time if ingested is None else ingested for time, ingested in both]
        fits = self._fits(kinds, events.time, arrived, now)
        if not all(fits):
            events = events.where(fits)
            kinds, arrived = list(compress(kinds, fits)), list(compress(arrived, fits))
        heard = min(max(arrived, default=self.latest_arrival), now)
        self.latest_arrival = max(self.latest_arrival, heard)
        add_user = self._state.users.add
        numbers = np.empty((len(FIELDS), len(events)), np.int64)
        numbers[0] = list(map(known_time_of, events.time, arrived))
        numbers[1] = events.time
        numbers[2] = list(map(hash_of, events.event_id))
        numbers[3] = list(map(visit_hash, events.session_id))
        numbers[4] = [MISSING if user is None else add_user(user) for user in events.user_id]
        numbers[5] = self._catalogue.name(events.item_id, numbers[0].tolist())
        numbers[6] = np.array(kinds, np.int64)
        numbers[7] = [0 if value is None else _millionths(value) for value in events.value]
        ways = zip(events.request_id, events.user_id, events.session_id, strict=True)
        numbers[8] = [_code_of_taken(*each) for each in ways]
        return EncodedEvents(events.event_id, numbers)

    def encode_shown(self, shown: ShownItems, now: int) -> ShownSlate | None:
        """Replace identifiers by numbers; None for what arrived too late or is dated too far ahead.

        Args:
            shown: What was shown.
            now: UTC microseconds.

        Returns:
            The slate.
        """
        time, counts = shown.time, self._state.counts
        arrived = time if shown.ingested is None else shown.ingested
        reason = self._reason(time, arrived, now)
        if reason != _FITS:
            counts.late += len(shown.item_ids) * (reason == _LATE)
            counts.ahead += len(shown.item_ids) * (reason == _AHEAD)
            return None
        known = known_time_of(time, arrived)
        user = MISSING if shown.user_id is None else self._state.users.add(shown.user_id)
        item = self._catalogue.name(shown.item_ids, repeat(known, len(shown.item_ids)))
        ways = zip(_WAYS, (shown.request_id, shown.user_id, shown.session_id), strict=True)
        codes = np.array([way_hash(*each) for each in ways], np.int64)
        return ShownSlate(known, time, user, np.array(item, np.int32), shown.request_id, codes)

    def _reason(self, time: int, arrived: int, now: int) -> int:
        """Whether an event that happened and arrived then counts, or why not."""
        late_us = self._state.retention.late_days * DAY
        if time < self._state.oldest_day * DAY or arrived - time > late_us:
            return _LATE
        newest = now + AHEAD
        too_far = time - arrived > AHEAD or time > newest or arrived > newest
        return _AHEAD if too_far else _FITS

    def _fits(
        self, kinds: Sequence[int | None], times: Sequence[int], arrived: Sequence[int], now: int
    ) -> list[bool]:
        """Which interactions count; the others are added to the state's counts."""
        reasons = [
            _IGNORED if kind is None else self._reason(time, arrival, now)
            for kind, time, arrival in zip(kinds, times, arrived, strict=True)
        ]
        counts = self._state.counts
        counts.ignored += reasons.count(_IGNORED)
        counts.late += reasons.count(_LATE)
        counts.ahead += reasons.count(_AHEAD)
        return [reason == _FITS for reason in reasons]


def _code_of_taken(request: str | None, user: str | None, session: str | None) -> int:
    """Code by which an interaction's impression is found; `MISSING` without any."""
    for way, name in zip(_WAYS, (request, user, session), strict=True):
        if name is not None:
            return way_hash(way, name)
    return MISSING


def _millionths(value: float) -> int:
    """Value in millionths; 0 for NaN and what is too large."""
    scaled = value * FIXED_POINT
    return round(scaled) if -_LARGEST < scaled < _LARGEST else 0
