"""The online executor's state at its clock, updated by events and by time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isnan
from typing import NamedTuple

import numpy as np

from features.arrays.clock import DAY, HOUR
from features.arrays.key_index import MISSING
from features.arrays.look_up import look_up
from features.counter_spec import ITEM, USER, CounterSpec
from features.log.attribution.index import Attributed, ImpressionIndex
from features.log.events import FIXED_POINT, IMPRESSION, SESSION
from features.online.counters.loops import MEASURES
from features.online.counters.table import CountedEvents, CounterTable
from features.online.dedup import SeenIds, visit_code, visit_codes
from features.online.events import EncodedEvents, PendingEvents, ShownSlate, slates_of
from features.online.history import OnlineHistory
from features.online.items import GrowingCatalogue
from features.online.users import Users
from features.reader import pair_codes
from features.settings import FeatureSettings

FEW = 12
"""Up to so many events are counted one by one, which is quicker than arrays of them."""


@dataclass
class EventCounts:
    """Numbers of events counted and left out.

    Attributes:
        counted: Interactions that changed the state.
        duplicates: Further copies of an event of the same day.
        late: Interactions that arrived later than the features wait for.
        ahead: Interactions and impressions dated too far ahead, of their arrival or of the present.
        ignored: Interactions of kinds no feature reads.
        shown: Impressions.
    """

    counted: int = 0
    duplicates: int = 0
    late: int = 0
    ahead: int = 0
    ignored: int = 0
    shown: int = 0


@dataclass(frozen=True)
class Retention:
    """Retention of users and events.

    Attributes:
        history: Interactions kept per user.
        forget_days: Users' keys and histories without an event in so many days are forgotten.
        late_days: How late an event may arrive; identifiers and visits are kept as long.
        window: The attribution window, in microseconds.
    """

    history: int
    forget_days: int
    late_days: int
    window: int

    @classmethod
    def of(cls, settings: FeatureSettings, window: int) -> "Retention":
        """Read the settings of a workspace, beside its attribution window in microseconds."""
        return cls(settings.history, settings.forget_days, settings.late_days, window)


class OnlineState:
    """Counters, histories and deduplication at a moving clock.

    Args:
        specs: The counters.
        catalogue: The items, which grow with the log.
        kinds: Kinds of events, from `event_kinds`.
        retention: How much is remembered.
        clock: UTC microseconds; a midnight, or the clock of a saved state.

    Attributes:
        tables: The counters, by key.
        history: The last interactions of users.
        users: The users.
        ids: Identifiers of events counted, by day of the event.
        visits: Visits counted, by their day.
        attribution: Impressions that may still lead to interactions.
        pending: Events the clock has not passed.
        counts: Numbers of events counted and left out.
        catalogue: The items.
    """

    def __init__(
        self,
        specs: Sequence[CounterSpec],
        catalogue: GrowingCatalogue,
        kinds: tuple[str, ...],
        retention: Retention,
        clock: int,
    ) -> None:
        self.specs, self.kinds, self.retention, self.clock = tuple(specs), kinds, retention, clock
        keys = dict.fromkeys(spec.key for spec in specs)
        self.tables = {
            key: CounterTable(key, [spec for spec in specs if spec.key == key]) for key in keys
        }
        of_all = (*kinds, IMPRESSION)
        self._counting = {
            kind: [table for table in self.tables.values() if kind in table.groups]
            for kind in of_all
        }
        for table in self.tables.values():
            table.advance(clock)
        self.history = OnlineHistory(retention.history)
        self.users = Users()
        self.ids, self.visits = SeenIds(), SeenIds()
        self.attribution = ImpressionIndex(retention.window)
        self._attributes = any(self._counting[kind] for kind in kinds[kinds.index(SESSION) + 1 :])
        self.pending = PendingEvents()
        self.counts = EventCounts()
        self.catalogue = catalogue

    @property
    def day(self) -> int:
        """Number of the clock's UTC day."""
        return self.clock // DAY

    def advance(self, now: int) -> None:
        """Move the clock: count what became known, let tiles leave, forget at midnights.

        Args:
            now: UTC microseconds; a time before the clock changes nothing but what waits.
        """
        now = max(now, self.clock)
        while self.day < now // DAY:
            midnight = self._next_midnight(now) * DAY
            self._count_known(midnight)
            self._move(midnight)
            self._forget()
        self._count_known(now)
        self._move(now)

    def _next_midnight(self, now: int) -> int:
        """Day number of the next midnight that must be stopped at.

        Without an event in between, what is forgotten at one midnight would be at a later one.
        """
        first = self.pending.first()
        if first is None:
            return now // DAY
        return min(max(first // DAY, self.day + 1), now // DAY)

    def _move(self, now: int) -> None:
        if now // HOUR != self.clock // HOUR:
            for table in self.tables.values():
                table.advance(now)
        self.clock = now

    def _forget(self) -> None:
        """Forget what is too old as of the clock, which is at a midnight."""
        cutoff = (self.day - self.retention.forget_days) * DAY
        for table in self.tables.values():
            table.forget(self.day, self.retention.forget_days)
        self.history.forget(cutoff)
        spared = self.pending.users() | self.attribution.users_before(cutoff)
        self.users.forget(cutoff, spared)
        self.ids.forget(self.oldest_day)
        self.visits.forget(self.oldest_day)

    @property
    def oldest_day(self) -> int:
        """First day whose events may still arrive in time."""
        return self.day - self.retention.late_days - 1

    def mark_seen(self, arrivals: EncodedEvents, shown: Sequence[ShownSlate]) -> None:
        """Mark interactions, their visits and impressions as counted already."""
        arrivals = arrivals.in_order()
        new = self.ids.add(arrivals.column("time"), arrivals.column("id_hash"))
        arrivals = arrivals.take(np.flatnonzero(new))
        if self._attributes:
            self.attribution.decide(slates_of(shown), arrivals.taken(), self.clock)
        user, time = arrivals.column("user"), arrivals.column("time")
        member = np.flatnonzero(user >= 0)
        code = visit_codes(user[member], arrivals.column("visit_hash")[member])
        self.visits.add(time[member], code)

    def _count_known(self, before: int) -> None:
        if not len(self.pending):
            return
        arrivals, shown = self.pending.take(before)
        if len(arrivals) > FEW:
            arrivals = self._count(arrivals)
        else:
            new = [self._count_one(row) for row in arrivals.rows()]
            arrivals = arrivals if all(new) else arrivals.take(np.flatnonzero(new))
        if shown:
            self._count_shown(shown)
        if self._attributes:
            led = self.attribution.decide(slates_of(shown), arrivals.taken(), before)
            if len(led.time):
                self._count_attributed(led)

    def _count(self, arrivals: EncodedEvents) -> EncodedEvents:
        """Count interactions that became known, in their order; gives those that are no copies."""
        new = np.flatnonzero(self.ids.add(arrivals.column("time"), arrivals.column("id_hash")))
        self.counts.duplicates += len(arrivals) - len(new)
        self.counts.counted += len(new)
        if len(new) < len(arrivals):
            arrivals = arrivals.take(new)
        known, time, _, visit_hash, user, item, kind, value, _ = arrivals.numbers
        counted = self._counted(item, known, time, value)
        for place in np.unique(kind).tolist():
            self._add(self.kinds[place], user, item, counted, np.flatnonzero(kind == place))
        member = np.flatnonzero(user >= 0)
        self._see(user[member], time[member])
        code = visit_codes(user[member], visit_hash[member])
        visits = member[self.visits.add(time[member], code)]
        self._add(SESSION, user, item, counted, visits)
        self.history.make_room(len(self.users))
        self.history.add(user[member], item[member], kind[member], time[member])
        return arrivals

    def _count_one(self, numbers: Sequence[int]) -> bool:
        """Count one interaction as `_count` does, four times as fast; gives if it is no copy."""
        known, time, id_hash, visit_hash, user, item, kind, value, _ = numbers
        if not self.ids.add_one(time, id_hash):
            self.counts.duplicates += 1
            return False
        self.counts.counted += 1
        event = self._one(user, item, known, time, value)
        self._add_one(self.kinds[kind], event)
        if user < 0:
            return True
        self.users.seen[user] = max(int(self.users.seen[user]), time)
        if self.visits.add_one(time, visit_code(user, visit_hash)):
            self._add_one(SESSION, event)
        self.history.make_room(user + 1)
        self.history.add_one(user, item, kind, time)
        return True

    def _one(self, user: int, item: int, known: int, time: int, value: int) -> "_One":
        """Give what one event adds, as `_counted` does."""
        version, amounts = self.catalogue.version_of(item, known + 1), [1, 0, 0, value]
        if version >= 0 and not isnan(price := self.catalogue.log_price[version]):
            amounts[1], amounts[2] = round(price * FIXED_POINT), 1
        return _One(user, item, version, time, np.array(amounts, np.int64))

    def _count_attributed(self, led: Attributed) -> None:
        """Count impressions that led to interactions, by the version of the item that was shown."""
        kinds = self.kinds[self.kinds.index(SESSION) + 1 :]
        if len(led.time) > FEW:
            nothing = np.zeros(len(led.time), np.int64)
            counted = self._counted(led.item, led.shown_known, led.time, nothing)
            for place in np.unique(led.kind).tolist():
                places = np.flatnonzero(led.kind == place)
                self._add(kinds[place], led.user, led.item, counted, places)
            return
        for time, _, user, item, kind, known in zip(*(part.tolist() for part in led), strict=True):
            self._add_one(kinds[kind], self._one(user, item, known, time, 0))

    def _count_shown(self, shown: Iterable[ShownSlate]) -> None:
        """Count impressions."""
        slates = list(shown)
        sizes = [len(slate.item) for slate in slates]
        user = np.repeat(np.array([slate.user for slate in slates], np.int64), sizes)
        time = np.repeat(np.array([slate.time for slate in slates], np.int64), sizes)
        known = np.repeat(np.array([slate.known for slate in slates], np.int64), sizes)
        item = np.concatenate([slate.item for slate in slates]).astype(np.int64)
        self.counts.shown += len(item)
        member = np.flatnonzero(user >= 0)
        self._see(user[member], time[member])
        counted = self._counted(item, known, time, np.zeros(len(item), np.int64))
        self._add(IMPRESSION, user, item, counted, np.arange(len(item)))

    def _see(self, user: np.ndarray, time: np.ndarray) -> None:
        np.maximum.at(self.users.seen, user, time)

    def _counted(
        self, item: np.ndarray, known: np.ndarray, time: np.ndarray, value: np.ndarray
    ) -> CountedEvents:
        """Give what each event adds to the measures of counters, by its item's version then."""
        version = self.catalogue.versions(item, known + 1)
        price = look_up(self.catalogue.log_price, version, np.nan)
        amounts = np.empty((len(MEASURES), len(item)), np.int64)
        amounts[0] = 1
        amounts[1] = np.round(np.nan_to_num(price) * FIXED_POINT).astype(np.int64)
        amounts[2] = ~np.isnan(price)
        amounts[3] = value
        return CountedEvents(time, version, amounts)

    def _add(
        self,
        kind: str,
        user: np.ndarray,
        item: np.ndarray,
        counted: CountedEvents,
        places: np.ndarray,
    ) -> None:
        """Add some of the events to every counter of a kind."""
        if not len(places):
            return
        user, item, counted = user[places], item[places], counted.take(places)
        for table in self._counting[kind]:
            codes = self._codes(table.key, user, item, counted.version)
            has_key = codes != MISSING
            if has_key.all():
                table.add(kind, codes, counted)
            elif has_key.any():
                some = np.flatnonzero(has_key)
                table.add(kind, codes[some], counted.take(some))

    def _codes(
        self, key: tuple[str, ...], user: np.ndarray, item: np.ndarray, version: np.ndarray
    ) -> np.ndarray:
        if key == (USER,):
            return user
        part = item
        if key[-1] != ITEM:
            codes = self.catalogue.attributes[key[-1]]
            part = look_up(codes, version, MISSING).astype(np.int64)
        return pair_codes(user, part) if len(key) > 1 else part

    def _add_one(self, kind: str, event: "_One") -> None:
        for table in self._counting[kind]:
            code = self._code(table.key, event)
            if code != MISSING:
                table.add_one(kind, code, event.time, event.amounts)

    def _code(self, key: tuple[str, ...], event: "_One") -> int:
        user, part = event.user, event.item
        if key == (USER,):
            return user
        if key[-1] != ITEM:
            codes = self.catalogue.attributes[key[-1]]
            part = MISSING if event.version < 0 else int(codes[event.version])
        if len(key) == 1:
            return part
        return MISSING if user < 0 or part < 0 else (user << 32) | part


class _One(NamedTuple):
    """One event to count: its codes, the version of its item, int64 [n_measures] amounts."""

    user: int
    item: int
    version: int
    time: int
    amounts: np.ndarray
