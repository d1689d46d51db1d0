"""Encoding of incoming interactions: identifiers become numbers, late ones are left out."""

from collections.abc import Sequence
from itertools import compress, repeat

import numpy as np

from features.arrays.clock import DAY
from features.arrays.key_index import MISSING
from features.log.catalogue import Catalogue
from features.log.events import FIXED_POINT, known_time_of
from features.online.dedup import hash_of, visit_hash
from features.online.events import FIELDS, EncodedEvents, IncomingEvents
from features.online.state import OnlineState

_LARGEST = float(1 << 62)


class EventEncoder:
    """Encodes interactions for a state, column by column.

    Args:
        state: Knows the users, and which days may still get late events; its tally counts what is
            left out.
        catalogue: The items.

    Attributes:
        latest_arrival: Latest arrival so far, UTC microseconds; at first the state's clock.
    """

    def __init__(self, state: OnlineState, catalogue: Catalogue) -> None:
        self.latest_arrival = state.clock
        self._state = state
        self._place_of = catalogue.index.get
        self._kinds = {kind: place for place, kind in enumerate(state.kinds[:-1])}

    def encode(self, events: IncomingEvents) -> EncodedEvents:
        """Replace identifiers by numbers, and leave out unread kinds and late arrivals.

        Args:
            events: The interactions.

        Returns:
            Those of kinds that are read and that did not arrive too late, in their order.
        """
        kinds = list(map(self._kinds.get, events.kind))
        both = zip(events.time, events.ingested, strict=True)
        arrived = [time if ingested is None else ingested for time, ingested in both]
        fits = self._fits(kinds, events.time, arrived)
        if not all(fits):
            events = events.where(fits)
            kinds, arrived = list(compress(kinds, fits)), list(compress(arrived, fits))
        self.latest_arrival = max(self.latest_arrival, max(arrived, default=self.latest_arrival))
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
        self, kinds: Sequence[int | None], times: Sequence[int], arrived: Sequence[int]
    ) -> list[bool]:
        """Which interactions count; the others are added to the state's counts."""
        oldest = self._state.oldest_day * DAY
        late_us = self._state.retention.late_days * DAY
        in_time = [
            time >= oldest and arrival - time <= late_us
            for time, arrival in zip(times, arrived, strict=True)
        ]
        fits = [kind is not None and good for kind, good in zip(kinds, in_time, strict=True)]
        ignored = kinds.count(None)
        self._state.counts.ignored += ignored
        self._state.counts.late += len(fits) - sum(fits) - ignored
        return fits


def _millionths(value: float) -> int:
    """Value in millionths; 0 for NaN and what is too large."""
    scaled = value * FIXED_POINT
    return round(scaled) if -_LARGEST < scaled < _LARGEST else 0
