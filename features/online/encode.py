"""Encoding of incoming interactions: identifiers become numbers, late and future ones stay out."""

from collections.abc import Sequence
from itertools import compress, repeat

import numpy as np

from features.arrays.clock import DAY
from features.arrays.key_index import MISSING
from features.log.catalogue import Catalogue
from features.log.end import AHEAD
from features.log.events import FIXED_POINT, known_time_of
from features.online.dedup import hash_of, visit_hash
from features.online.events import FIELDS, EncodedEvents, IncomingEvents
from features.online.state import OnlineState

_LARGEST = float(1 << 62)
_FITS, _IGNORED, _LATE, _AHEAD = range(4)


class EventEncoder:
    """Encodes interactions for a state, column by column.

    Args:
        state: Knows the users, and which days may still get late events; its tally counts what is
            left out.
        catalogue: The items.

    Attributes:
        latest_arrival: Latest arrival so far, UTC microseconds, none after the present; at first
            the state's clock.
    """

    def __init__(self, state: OnlineState, catalogue: Catalogue) -> None:
        self.latest_arrival = state.clock
        self._state = state
        self._place_of = catalogue.index.get
        self._kinds = {kind: place for place, kind in enumerate(state.kinds[:-1])}

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
        numbers[5] = list(map(self._place_of, events.item_id, repeat(MISSING)))
        numbers[6] = np.array(kinds, np.int64)
        numbers[7] = [0 if value is None else _millionths(value) for value in events.value]
        return EncodedEvents(events.event_id, numbers)

    def _fits(
        self, kinds: Sequence[int | None], times: Sequence[int], arrived: Sequence[int], now: int
    ) -> list[bool]:
        """Which interactions count; the others are added to the state's counts."""
        oldest = self._state.oldest_day * DAY
        late_us = self._state.retention.late_days * DAY
        newest = now + AHEAD
        reasons = [
            _IGNORED
            if kind is None
            else _LATE
            if time < oldest or arrival - time > late_us
            else _AHEAD
            if time - arrival > AHEAD or time > newest or arrival > newest
            else _FITS
            for kind, time, arrival in zip(kinds, times, arrived, strict=True)
        ]
        counts = self._state.counts
        counts.ignored += reasons.count(_IGNORED)
        counts.late += reasons.count(_LATE)
        counts.ahead += reasons.count(_AHEAD)
        return [reason == _FITS for reason in reasons]


def _millionths(value: float) -> int:
    """Value in millionths; 0 for NaN and what is too large."""
    scaled = value * FIXED_POINT
    return round(scaled) if -_LARGEST < scaled < _LARGEST else 0
