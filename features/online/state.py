"""The online executor's state at its clock, updated by events and by time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from features.arrays.clock import DAY, HOUR
from features.arrays.key_index import MISSING
from features.counter_spec import ITEM, USER, CounterSpec
from features.log.catalogue import Catalogue
from features.log.events import FIXED_POINT, IMPRESSION, SESSION
from features.online.counters.loops import MEASURES
from features.online.counters.table import CountedEvents, CounterTable
from features.online.dedup import SeenIds, visit_code, visit_codes
from features.online.events import EncodedEvents, PendingEvents, ShownSlate
from features.online.history import OnlineHistory
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


class ItemFacts:
    """Item facts that counters read; the last place is for unknown items, index -1."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.count = len(catalogue)
        unknown = np.isnan(catalogue.log_price)
        units = np.round(np.where(unknown, 0, catalogue.log_price) * FIXED_POINT).astype(np.int64)
        self.log_price = np.append(units, 0)
        self.priced = np.append((~unknown).astype(np.int64), 0)
        self.attributes = {
            name: np.append(codes, np.int32(MISSING)).astype(np.int64)
            for name, codes in catalogue.attributes.items()
        }


@dataclass(frozen=True)
class Retention:
    """Retention of users and events.

    Attributes:
        history: Interactions kept per user.
        forget_days: Users' keys and histories without an event in so many days are forgotten.
        late_days: How late an event may arrive; identifiers and visits are kept as long.
    """

    history: int
    forget_days: int
    late_days: int

    @classmethod
    def of(cls, settings: FeatureSettings) -> "Retention":
        """Read the settings of a workspace."""
        return cls(settings.history, settings.forget_days, settings.late_days)


class OnlineState:
    """Counters, histories and deduplication at a moving clock.

    Args:
        specs: The counters.
        catalogue: The items.
        kinds: Kinds of interaction, in the order of their codes, `session` last.
        retention: How much is remembered.
        clock: UTC microseconds; a midnight, or the clock of a saved state.

    Attributes:
        tables: The counters, by key.
        history: The last interactions of users.
        users: The users.
        ids: Identifiers of events counted, by day of the event.
        visits: Visits counted, by their day.
        pending: Events the clock has not passed.
        counts: Numbers of events counted and left out.
        items: What counters read of the items.
    """

    def __init__(
        self,
        specs: Sequence[CounterSpec],
        catalogue: Catalogue,
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
        self.pending = PendingEvents()
        self.counts = EventCounts()
        self.items = ItemFacts(catalogue)

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
        self.users.forget(cutoff, self.pending.users())
        self.ids.forget(self.oldest_day)
        self.visits.forget(self.oldest_day)

    @property
    def oldest_day(self) -> int:
        """First day whose events may still arrive in time."""
        return self.day - self.retention.late_days - 1

    def mark_seen(self, arrivals: EncodedEvents) -> None:
        """Mark identifiers and visits of interactions as counted already."""
        arrivals = arrivals.in_order()
        user, time = arrivals.column("user"), arrivals.column("time")
        self.ids.add(time, arrivals.column("id_hash"))
        member = np.flatnonzero(user >= 0)
        code = visit_codes(user[member], arrivals.column("visit_hash")[member])
        self.visits.add(time[member], code)

    def _count_known(self, before: int) -> None:
        if not len(self.pending):
            return
        arrivals, shown = self.pending.take(before)
        if len(arrivals) > FEW:
            self._count(arrivals)
        else:
            for row in arrivals.rows():
                self._count_one(row)
        if shown:
            self._count_shown(shown)

    def _count(self, arrivals: EncodedEvents) -> None:
        """Count interactions that became known, in their order."""
        new = np.flatnonzero(self.ids.add(arrivals.column("time"), arrivals.column("id_hash")))
        self.counts.duplicates += len(arrivals) - len(new)
        self.counts.counted += len(new)
        if len(new) < len(arrivals):
            arrivals = arrivals.take(new)
        _, time, _, visit_hash, user, item, kind, value = arrivals.numbers
        counted = self._counted(item, time, value)
        for place in np.unique(kind).tolist():
            self._add(self.kinds[place], user, item, counted, np.flatnonzero(kind == place))
        member = np.flatnonzero(user >= 0)
        self._see(user[member], time[member])
        code = visit_codes(user[member], visit_hash[member])
        visits = member[self.visits.add(time[member], code)]
        self._add(SESSION, user, item, counted, visits)
        past = np.flatnonzero((user >= 0) & (item >= 0))
        self.history.make_room(len(self.users))
        self.history.add(user[past], item[past], kind[past], time[past])

    def _count_one(self, numbers: Sequence[int]) -> None:
        """Count one interaction as `_count` does, four times as fast."""
        _, time, id_hash, visit_hash, user, item, kind, value = numbers
        if not self.ids.add_one(time, id_hash):
            self.counts.duplicates += 1
            return
        self.counts.counted += 1
        facts, amounts = self.items, np.empty(len(MEASURES), np.int64)
        amounts[:] = 1, facts.log_price[item], facts.priced[item], value
        self._add_one(self.kinds[kind], user, item, time, amounts)
        if user < 0:
            return
        self.users.seen[user] = max(int(self.users.seen[user]), time)
        if self.visits.add_one(time, visit_code(user, visit_hash)):
            self._add_one(SESSION, user, item, time, amounts)
        if item >= 0:
            self.history.make_room(user + 1)
            self.history.add_one(user, item, kind, time)

    def _count_shown(self, shown: Iterable[ShownSlate]) -> None:
        """Count impressions."""
        slates = list(shown)
        sizes = [len(slate.item) for slate in slates]
        user = np.repeat(np.array([slate.user for slate in slates], np.int64), sizes)
        time = np.repeat(np.array([slate.known for slate in slates], np.int64), sizes)
        item = np.concatenate([slate.item for slate in slates]).astype(np.int64)
        self.counts.shown += len(item)
        member = np.flatnonzero(user >= 0)
        self._see(user[member], time[member])
        counted = self._counted(item, time, np.zeros(len(item), np.int64))
        self._add(IMPRESSION, user, item, counted, np.arange(len(item)))

    def _see(self, user: np.ndarray, time: np.ndarray) -> None:
        np.maximum.at(self.users.seen, user, time)

    def _counted(self, item: np.ndarray, time: np.ndarray, value: np.ndarray) -> CountedEvents:
        """Give what each event adds to the measures of counters."""
        amounts = np.empty((len(MEASURES), len(item)), np.int64)
        amounts[0] = 1
        amounts[1], amounts[2] = self.items.log_price[item], self.items.priced[item]
        amounts[3] = value
        return CountedEvents(time, amounts)

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
            codes = self._codes(table.key, user, item)
            has_key = codes != MISSING
            if has_key.all():
                table.add(kind, codes, counted)
            elif has_key.any():
                some = np.flatnonzero(has_key)
                table.add(kind, codes[some], counted.take(some))

    def _codes(self, key: tuple[str, ...], user: np.ndarray, item: np.ndarray) -> np.ndarray:
        if key == (USER,):
            return user
        part = item if key[-1] == ITEM else self.items.attributes[key[-1]][item]
        return pair_codes(user, part) if len(key) > 1 else part

    def _add_one(self, kind: str, user: int, item: int, time: int, amounts: np.ndarray) -> None:
        for table in self._counting[kind]:
            code = self._code(table.key, user, item)
            if code != MISSING:
                table.add_one(kind, code, time, amounts)

    def _code(self, key: tuple[str, ...], user: int, item: int) -> int:
        if key == (USER,):
            return user
        part = item if key[-1] == ITEM else int(self.items.attributes[key[-1]][item])
        if len(key) == 1:
            return part
        return MISSING if user < 0 or part < 0 else (user << 32) | part
