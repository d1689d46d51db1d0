"""The batch executor's state at a midnight, and its advance by a day."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from features.arrays.clock import DAY
from features.batch.counters.counter import Counter
from features.batch.counters.day_events import VersionedEvents, counter_events
from features.batch.counters.tiles import DayEvents
from features.batch.history import RecentHistory
from features.batch.reader import BatchReader
from features.log.catalogue import Catalogue
from features.log.events import IMPRESSION, Events, without_sessions
from features.log.history import History, last_interactions
from features.log.requests import Rows
from features.snapshots.snapshot import Snapshot


@dataclass
class FeatureState:
    """Counters, histories and the snapshot as of a midnight UTC.

    Attributes:
        day: Day number whose midnight this is.
        counters: By the counter's name.
        recent: Last interactions of every user.
        window: The attribution window, in microseconds.
        find_snapshot: Computes `snapshot`; called once, and only where it is read.
    """

    day: int
    counters: dict[str, Counter]
    recent: RecentHistory
    window: int
    find_snapshot: Callable[[], Snapshot]

    @cached_property
    def snapshot(self) -> Snapshot:
        """The last snapshot at or before the midnight that the state began with."""
        return self.find_snapshot()

    def day_events(
        self, catalogue: Catalogue, events: Events, shown: Events
    ) -> dict[str, DayEvents]:
        """Sort the day's events by counter.

        Args:
            catalogue: The items.
            events: The interactions that became known on the day.
            shown: The impressions that became known on the day, as events.

        Returns:
            The day's events of each counter, by its name.
        """
        taken = VersionedEvents.of(events, catalogue)
        kinds = {kind: taken.of_kind(kind) for kind in events.kinds}
        kinds[IMPRESSION] = VersionedEvents.of(shown, catalogue)
        return {
            name: counter_events(counter, kinds[counter.spec.kind], catalogue)
            for name, counter in self.counters.items()
        }

    def reader(
        self,
        rows: Rows,
        catalogue: Catalogue,
        today: Mapping[str, DayEvents],
        day_events: Events,
        snapshot: Callable[[], Snapshot],
    ) -> BatchReader:
        """Reader of some rows of this day.

        Args:
            rows: The rows; their times lie on this day.
            catalogue: The items.
            today: The day's events by counter, from `day_events`.
            day_events: The day's interactions, for the histories.
            snapshot: Computes the day's snapshot, where a feature reads it.

        Returns:
            The reader; its counters have to be read before the state advances.
        """
        recent = self.recent
        past = recent.events

        def history() -> History:
            interactions = without_sessions(day_events)
            known = Events.join([past, interactions]) if len(interactions) else past
            return last_interactions(
                known, rows.request_user, rows.request_time, recent.k, recent.forget_days
            )

        return BatchReader(
            rows, rows.request_time, catalogue, history, snapshot, self.counters, today
        )

    def advance(self, today: Mapping[str, DayEvents], day_events: Events) -> None:
        """Fold the day's events in; the state is then that of the next midnight."""
        for name, counter in self.counters.items():
            counter.advance(today[name], self.recent.forget_days)
        self.day += 1
        self.recent.advance(without_sessions(day_events), self.day * DAY)

    def skip(self, day: int) -> None:
        """Move on to a midnight over days without events; nothing happens for one gone by."""
        if day <= self.day:
            return
        for counter in self.counters.values():
            counter.skip(day, self.recent.forget_days)
        self.day = day
        self.recent.advance(Events.none(self.recent.events.kinds), day * DAY)
