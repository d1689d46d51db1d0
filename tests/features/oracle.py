"""Every kind of feature once more, row by row, in plain Python over lists of events."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from features.arrays.clock import DAY, HOUR
from features.kinds.affinity import Affinity, PriceAgainstUsual
from features.kinds.base import Feature
from features.kinds.co_visitation import CoVisitation
from features.kinds.context import ContextWord, Given, LocalTime
from features.kinds.counts import FirstSeen, Rate, Recency, Trend, WindowCount, WindowSum
from features.kinds.history import LastShare, TagAffinity
from features.kinds.item import Age, AttributeCode, AttributeNumber, Price
from features.kinds.repeats import ItemRepeat, RepeatShare, Rhythm
from features.kinds.slate import SlateDifference, SlatePercentile, SlateRank
from features.log.events import IMPRESSION, SESSION, attributed
from features.settings import FeatureSettings
from tests.features.worlds import (
    BANDS,
    KINDS,
    WINDOW,
    Event,
    Record,
    Request,
    World,
    moment,
)

NAN = math.nan


class Known(NamedTuple):
    """An event, and the last instant before it was known."""

    time: int
    known: int
    event_id: str
    kind: str
    user: str | None
    item: str
    session: str | None
    value: float | None = None
    versioned: int | None = None


@dataclass(frozen=True, eq=False)
class Oracle:
    """Answers what a feature of a row must be."""

    world: World
    settings: FeatureSettings

    def value(self, feature: Feature, request: Request, item: str) -> float:  # noqa: C901, PLR0911, PLR0912, PLR0915
        time = request.time
        match feature:
            case WindowCount(key, kind, days):
                return self._count(key, kind, days, request, item)
            case WindowSum(key, kind, days):
                paid = self._matching(key, kind, days, request, item)
                return NAN if paid is None else sum(event.value or 0 for event in paid)
            case Rate(key, kind, per, days, smoothing):
                prior = self._overall_rate(kind, per, time)
                hits = self._count(key, attributed(kind), days, request, item)
                tries = self._count(key, attributed(per), days, request, item)
                return (hits + smoothing * prior) / (tries + smoothing)
            case Trend(key, kind, short, long):
                recent = (self._count(key, kind, short, request, item) + 1) / short
                usual = (self._count(key, kind, long, request, item) + 1) / long
                return math.log(recent / usual)
            case Recency(key, kind):
                return min(self._ages(key, kind, request, item), default=NAN)
            case FirstSeen(key, kind):
                return max(self._ages(key, kind, request, item), default=NAN)
            case RepeatShare(kind):
                visits = self._count(("user",), SESSION, 0, request, item)
                return self._count(("user", "item"), kind, 0, request, item) / (visits + 1)
            case Rhythm(kind):
                ages = self._ages(("user", "item"), kind, request, item)
                if not ages:
                    return NAN
                own = (max(ages) - min(ages)) / (len(ages) - 1) if len(ages) > 1 else 0
                usual = own if own > 0 else self._repeats(time, item)[1]
                return math.log((min(ages) + 1) / (usual + 1))
            case ItemRepeat(measure):
                return self._repeats(time, item)[0 if measure == "rate" else 1]
            case Affinity(attribute, kind, days, smoothing):
                usual = self._share(time, attribute, item)
                taken = self._count(("user", attribute), kind, days, request, item)
                of_all = self._count(("user",), kind, days, request, item)
                return math.log((taken + smoothing * usual) / (of_all + smoothing) / usual)
            case Price():
                return _log_price(self.version(item, time))
            case LastShare(attribute, newest):
                last = [event.item for event in self.history(request.user, time)[:newest]]
                like = self._value(attribute, item, time)
                if like is None or not last:
                    return NAN
                if attribute == "item":
                    return last.count(item) / len(last)
                return sum(self._value(attribute, each, time) == like for each in last) / len(last)
            case TagAffinity(newest, smoothing):
                return self._tag_affinity(request, item, newest, smoothing)
            case AttributeCode(attribute):
                found = self._value(attribute, item, time)
                return NAN if found is None else list(self._named(attribute)).index(found)
            case AttributeNumber():
                version = self.version(item, time)
                return NAN if version is None or version.weight is None else version.weight
            case PriceAgainstUsual(kind):
                events = self._matching(("user",), kind, 0, request, item, priced=True) or []
                prices = [self._paid(event) for event in events]
                own = _log_price(self.version(item, time))
                return own - sum(prices) / len(prices) if prices else NAN
            case Age():
                version = self.version(item, time)
                listed = None if version is None else version.listed
                return NAN if listed is None or listed > time else (time - listed) / DAY
            case CoVisitation(how, pool, newest):
                if self.version(item, time) is None:
                    return 0.0
                met = self._met(how, self.snapshot_day(time), item)
                past = self.history(request.user, time)[:newest]
                values = [met.get(event.item, 0.0) for event in past]
                return max(values, default=0.0) if pool == "max" else sum(values)
            case LocalTime(part, timezone):
                local = moment(time).astimezone(ZoneInfo(timezone))
                return local.hour if part == "hour" else local.weekday()
            case ContextWord(_, words):
                return words.index(request.device) if request.device in words else NAN
            case Given():
                return request.score.get(item, NAN)
        raise AssertionError(feature)

    def among(
        self,
        feature: SlateRank | SlatePercentile | SlateDifference,
        values: Sequence[float],
        place: int,
    ) -> float:
        known = [value for value in values if not math.isnan(value)]
        own = values[place]
        if math.isnan(own):
            return NAN
        if isinstance(feature, SlateDifference):
            return own - sum(known) / len(known)
        lower = sum(value < own for value in known) + (known.count(own) - 1) / 2
        if isinstance(feature, SlateRank):
            return len(known) - lower
        return 0.5 if len(known) == 1 else lower / (len(known) - 1)

    @cache  # noqa: B019
    def events(self) -> list[Known]:
        """Give interactions as they became known, then visits, impressions and attributed ones."""
        ordered = sorted(
            (
                event
                for event in self.world.events
                if event.kind in KINDS and -DAY <= event.late <= self.settings.late_days * DAY
            ),
            key=lambda event: (event.known, event.time, event.event_id),
        )
        first: dict[tuple[str, int], Event] = {}
        for event in ordered:
            first.setdefault((event.event_id, event.time // DAY), event)
        counting = list(first.values())
        taken = [
            Known(e.time, e.known, e.event_id, e.kind, e.user, e.item, _visit(e), e.value)
            for e in counting
        ]
        visits: dict[tuple[str, str], Known] = {}
        for known in taken:
            if known.user is not None and known.session is not None:
                visits.setdefault((known.user, known.session), known._replace(kind=SESSION))
        shown = [
            Known(request.time, request.known, "", IMPRESSION, request.user, item, None)
            for request in self.world.requests
            for item in request.items
            if -DAY <= request.late <= self.settings.late_days * DAY
        ]
        return [*taken, *visits.values(), *shown, *self._attributed(counting)]

    def _attributed(self, interactions: Sequence[Event]) -> list[Known]:
        """Give impressions that led to interactions, each once a kind."""
        first: dict[tuple[str, str, str], Known] = {}
        for event in interactions:
            shown = self._led_by(event)
            if shown is None:
                continue
            known, kind = max(event.known, shown.known), attributed(event.kind)
            key = (shown.request_id, event.item, kind)
            if key not in first or known < first[key].known:
                first[key] = Known(
                    shown.time, known, "", kind, shown.user, event.item, None, None, shown.known
                )
        return list(first.values())

    def _led_by(self, event: Event) -> Request | None:
        """Give the request whose impression an interaction is attributed to."""
        fitting = [
            request
            for request in self.world.requests
            if event.item in request.items
            and _is_of(event, request)
            and -DAY <= request.late <= self.settings.late_days * DAY
            and request.time <= event.time
            and max(event.known, request.known) < request.time + WINDOW
        ]
        known = [request for request in fitting if request.known <= event.known]
        if known:
            return min(known, key=lambda each: (-each.time, each.known, each.request_id))
        fitting.sort(key=lambda each: (each.known, -each.time, each.request_id))
        return fitting[0] if fitting else None

    def history(self, user: str | None, time: int) -> list[Known]:
        """Give the last interactions of a user, newest first."""
        oldest = (time // DAY - self.settings.forget_days) * DAY
        past = [
            event
            for event in self.events()
            if event.kind in KINDS
            and event.user == user is not None
            and event.known < time
            and event.time >= oldest
        ]
        past.sort(key=lambda event: (event.time, event.known, event.event_id))
        return past[::-1][: self.settings.history]

    @cache  # noqa: B019
    def _in_force(self, item: str) -> list[Record]:
        """Give the versions of an item in the order in which they became known."""
        mine = [each for each in self.world.records if each.item == item]
        in_order = sorted(mine, key=lambda each: (each.known, each.since))
        kept: list[Record] = []
        for each in in_order:
            if each.since >= max((earlier.since for earlier in kept), default=-math.inf):
                kept.append(each)
        return kept

    def version(self, item: str, time: int) -> Record | None:
        """Give the version of an item as of a moment; None where it is unknown or deleted."""
        known = [each for each in self._in_force(item) if each.known < time]
        return known[-1] if known and not known[-1].deleted else None

    def _value(self, attribute: str, item: str, time: int) -> str | None:
        version = self.version(item, time)
        if version is None:
            return None
        if attribute == "item":
            return item
        return version.category if attribute == "category" else BANDS[version.price]

    @cache  # noqa: B019
    def _named(self, what: str) -> dict[str, float]:
        """Give items or the values of a column in the order of their codes, and when each came."""
        records = [
            each for item in {r.item for r in self.world.records} for each in self._in_force(item)
        ]
        named: list[tuple[float, str]] = []
        for each in records:
            values = {"item": [each.item], "tags": each.tags or ()}.get(what)
            if values is None:
                value = each.category if what == "category" else BANDS[each.price]
                values = [] if value is None else [value]
            named += [(each.known, value) for value in values]
        if what == "item":
            named += [(event.known, event.item) for event in self.events()]
        first: dict[str, float] = {}
        for time, value in sorted(named):
            first.setdefault(value, time)
        return first

    @cache  # noqa: B019
    def _first_day(self) -> int:
        known = [event.known for event in self.events()]
        return min(known + [request.time for request in self.world.requests]) // DAY

    def snapshot_day(self, time: int) -> int:
        """Give the day of the last snapshot; the log's first for the empty one."""
        cadence = self.settings.snapshot_days
        return max(time // DAY // cadence * cadence, self._first_day())

    def _is_named(self, what: str, value: str, day: int) -> bool:
        return self._named(what).get(value, math.inf) < day * DAY

    def _in_snapshot(self, day: int) -> list[Known]:
        low = (day - self.settings.snapshot_window_days) * DAY
        return [event for event in self.events() if low <= event.time and event.known < day * DAY]

    def _taken(self, day: int) -> list[Known]:
        return [event for event in self._in_snapshot(day) if event.kind in KINDS]

    def _matching(
        self,
        key: tuple[str, ...],
        kind: str,
        days: int,
        request: Request,
        item: str,
        *,
        priced: bool = False,
    ) -> list[Known] | None:
        """Give the events of a key in a window; None when the key has a null part.

        A key of events with a price forgets by those alone.
        """
        wanted = self._key(key, request.user, item, request.time)
        if None in wanted:
            return None
        own = [
            event
            for event in self.events()
            if event.kind == kind
            and self._event_key(key, event) == wanted
            and not (priced and math.isnan(self._paid(event)))
        ]
        if not days:
            forget = self.settings.forget_days if "user" in key else math.inf
            return _remembered(own, request.time, forget)
        tile = HOUR if days <= 7 else DAY
        start = (request.time - days * DAY) // tile * tile
        return [event for event in own if start <= event.time and event.known < request.time]

    def _paid(self, event: Known) -> float:
        return _log_price(self.version(event.item, event.known + 1))

    def _count(
        self, key: tuple[str, ...], kind: str, days: int, request: Request, item: str
    ) -> float:
        events = self._matching(key, kind, days, request, item)
        return NAN if events is None else len(events)

    def _ages(self, key: tuple[str, ...], kind: str, request: Request, item: str) -> list[float]:
        events = self._matching(key, kind, 0, request, item) or []
        return [(request.time - event.time) / DAY for event in events]

    def _overall_rate(self, kind: str, per: str, time: int) -> float:
        kinds = [event.kind for event in self._in_snapshot(self.snapshot_day(time))]
        return (kinds.count(attributed(kind)) + 1) / (kinds.count(attributed(per)) + 1)

    def _key(
        self, key: tuple[str, ...], user: str | None, item: str, time: int
    ) -> tuple[str | None, ...]:
        return tuple(user if part == "user" else self._value(part, item, time) for part in key)

    def _event_key(self, key: tuple[str, ...], event: Known) -> tuple[str | None, ...]:
        """Give an event's key by the version that was known when the event became known."""
        known = event.known if event.versioned is None else event.versioned
        found = self._key(key, event.user, event.item, known + 1)
        return tuple(
            event.item if part == "item" else value for part, value in zip(key, found, strict=True)
        )

    def _share(self, time: int, attribute: str, item: str) -> float:
        day, own = self.snapshot_day(time), self._value(attribute, item, time)
        if own is None or not self._is_named(attribute, own, day):
            return NAN
        taken = [self._value(attribute, e.item, e.known + 1) for e in self._taken(day)]
        return (taken.count(own) + 1) / (len(taken) + len(set(taken) - {None}) + 1)

    def _tag_affinity(self, request: Request, item: str, newest: int, smoothing: float) -> float:
        """Compare the tags of the last items with everyone's."""
        time, day = request.time, self.snapshot_day(request.time)
        last = [self._tags(e.item, time) for e in self.history(request.user, time)[:newest]]
        mine = {tag for tag in self._tags(item, time) if self._is_named("tags", tag, day)}
        if not mine or not last:
            return NAN
        taken = [self._tags(event.item, event.known + 1) for event in self._taken(day)]
        seen = set().union(*taken)
        usual = {
            tag: (sum(tag in each for each in taken) + 1) / (len(taken) + len(seen) + 1)
            for tag in mine
        }
        own = {
            tag: (sum(tag in each for each in last) + smoothing * usual[tag])
            / (len(last) + smoothing)
            for tag in mine
        }
        return math.log(sum(own.values()) / sum(usual.values()))

    def _tags(self, item: str, time: int) -> set[str]:
        version = self.version(item, time)
        return set() if version is None else set(version.tags or ())

    def _repeats(self, time: int, item: str) -> tuple[float, float]:
        """Give an item's smoothed repeat rate and mean days between two takings."""
        day = self.snapshot_day(time)
        if self.version(item, time) is None or not self._is_named("item", item, day):
            return NAN, NAN
        days: dict[tuple[str, str], set[int]] = {}
        for event in self._taken(day):
            if event.user is not None:
                days.setdefault((event.user, event.item), set()).add(event.time // DAY)
        repeaters = sum(len(each) > 1 for each in days.values())
        prior = repeaters / max(len(days), 1)
        own = [sorted(each) for (_, of), each in days.items() if of == item]
        rate = (sum(len(each) > 1 for each in own) + 5 * prior) / (len(own) + 5)
        gaps = [b - a for each in own for a, b in pairwise(each)]
        return rate, sum(gaps) / len(gaps) if gaps else NAN

    @cache  # noqa: B019
    def _met(self, how: str, day: int, item: str) -> dict[str, float]:
        """Give, per past item, its strength with a candidate where that is among its strongest."""
        groups: dict[str, set[str]] = {}
        for event in self._taken(day):
            group = event.session if how == "session" else event.user
            if group is not None:
                groups.setdefault(group, set()).add(event.item)
        counts = Counter(member for group in groups.values() for member in group)
        strengths, codes = {}, list(self._named("item"))
        for past in codes:
            met = Counter(m for group in groups.values() if past in group for m in group - {past})
            scored = sorted(
                (-n / math.sqrt((counts[past] + 5) * (counts[other] + 5)), codes.index(other))
                for other, n in met.items()
            )
            for value, other in scored[: self.settings.neighbours]:
                if codes[other] == item:
                    strengths[past] = -value
        return strengths


def _remembered(events: list[Known], time: int, forget_days: float) -> list[Known]:
    """Give what a key has not forgotten: all of it goes when its last event is too long ago."""
    kept: list[Known] = []
    waiting = sorted(events, key=lambda event: event.known)
    first_day = waiting[0].known // DAY if waiting else 0
    for day in range(first_day, time // DAY + 1):
        while waiting and waiting[0].known < day * DAY:
            kept.append(waiting.pop(0))
        if kept and max(event.time for event in kept) < (day - forget_days) * DAY:
            kept = []
    return kept + [event for event in waiting if event.known < time]


def _is_of(event: Event, request: Request) -> bool:
    """Whether an interaction names a request, or else has its user, or else its session."""
    if event.request is not None:
        return event.request == request.request_id
    if event.user is not None:
        return event.user == request.user
    return event.session is not None and event.session == request.session


def _visit(event: Event) -> str | None:
    """Name the visit: a session on a day, or else a user on a day."""
    if event.session is None and event.user is None:
        return None
    of = event.user if event.session is None else event.session
    return f"{event.session is None} {of} {moment(event.time).date()}"


def _log_price(version: Record | None) -> float:
    return NAN if version is None or version.price is None else math.log(1 + version.price)
