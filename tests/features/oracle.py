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
from features.log.catalogue import PRICE_BAND
from features.log.events import IMPRESSION, SESSION
from features.settings import FeatureSettings
from tests.features.worlds import (
    BAND,
    CATEGORY,
    KINDS,
    LISTED,
    PRICE,
    TAGS,
    WEIGHT,
    Event,
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
                hits = self._count(key, kind, days, request, item)
                tries = self._count(key, per, days, request, item)
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
                if _value(attribute, item) is None:
                    return NAN
                usual = self._share(time, attribute, item)
                taken = self._count(("user", attribute), kind, days, request, item)
                of_all = self._count(("user",), kind, days, request, item)
                return math.log((taken + smoothing * usual) / (of_all + smoothing) / usual)
            case Price():
                return _log_price(item)
            case LastShare(attribute, newest):
                last = [event.item for event in self.history(request.user, time)[:newest]]
                like = _value(attribute, item)
                if like is None or not last:
                    return NAN
                return sum(_value(attribute, each) == like for each in last) / len(last)
            case TagAffinity(newest, smoothing):
                last = [event.item for event in self.history(request.user, time)[:newest]]
                return _tag_affinity(last, item, smoothing)
            case AttributeCode(attribute):
                found = _value(attribute, item)
                return NAN if found is None else _values(attribute).index(found)
            case AttributeNumber():
                weight = WEIGHT.get(item)
                return NAN if weight is None else weight
            case PriceAgainstUsual(kind):
                events = self._matching(("user",), kind, 0, request, item) or []
                prices = [p for e in events if not math.isnan(p := _log_price(e.item))]
                return _log_price(item) - sum(prices) / len(prices) if prices else NAN
            case Age():
                listed = LISTED.get(item)
                return NAN if listed is None or listed > time else (time - listed) / DAY
            case CoVisitation(how, pool, newest):
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
        """Give interactions as they became known, then visits, then impressions."""
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
        taken = [
            Known(e.time, e.known, e.event_id, e.kind, e.user, e.item, _visit(e), e.value)
            for e in first.values()
        ]
        visits: dict[tuple[str, str], Known] = {}
        for known in taken:
            if known.user is not None and known.session is not None:
                visits.setdefault((known.user, known.session), known._replace(kind=SESSION))
        shown = [
            Known(request.time, request.time, "", IMPRESSION, request.user, item, None)
            for request in self.world.requests
            for item in request.items
        ]
        return [*taken, *visits.values(), *shown]

    def history(self, user: str | None, time: int) -> list[Known]:
        """Give the last interactions of a user, newest first."""
        oldest = (time // DAY - self.settings.forget_days) * DAY
        past = [
            event
            for event in self.events()
            if event.kind in KINDS
            and event.user == user is not None
            and event.item in CATEGORY
            and event.known < time
            and event.time >= oldest
        ]
        past.sort(key=lambda event: (event.time, event.known, event.event_id))
        return past[::-1][: self.settings.history]

    def snapshot_day(self, time: int) -> int | None:
        """Give the day of the last snapshot, None before the first."""
        cadence = self.settings.snapshot_days
        day = time // DAY // cadence * cadence
        return day if day > min(event.known for event in self.events()) // DAY else None

    def _in_snapshot(self, day: int | None) -> list[Known]:
        if day is None:
            return []
        low = (day - self.settings.snapshot_window_days) * DAY
        return [event for event in self.events() if low <= event.time and event.known < day * DAY]

    def _taken(self, day: int | None) -> list[Known]:
        events = self._in_snapshot(day)
        return [event for event in events if event.kind in KINDS and event.item in CATEGORY]

    def _matching(
        self, key: tuple[str, ...], kind: str, days: int, request: Request, item: str
    ) -> list[Known] | None:
        """Give the events of a key in a window; None when the key has a null part."""
        wanted = _key(key, request.user, item)
        if None in wanted:
            return None
        own = [
            event
            for event in self.events()
            if event.kind == kind and _key(key, event.user, event.item) == wanted
        ]
        if not days:
            forget = self.settings.forget_days if "user" in key else math.inf
            return _remembered(own, request.time, forget)
        tile = HOUR if days <= 7 else DAY
        start = (request.time - days * DAY) // tile * tile
        return [event for event in own if start <= event.time and event.known < request.time]

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
        return (kinds.count(kind) + 1) / (kinds.count(per) + 1)

    def _share(self, time: int, attribute: str, item: str) -> float:
        taken = [_value(attribute, event.item) for event in self._taken(self.snapshot_day(time))]
        alike = taken.count(_value(attribute, item))
        return (alike + 1) / (len(taken) + len(_values(attribute)))

    def _repeats(self, time: int, item: str) -> tuple[float, float]:
        """Give an item's smoothed repeat rate and mean days between two takings."""
        day = self.snapshot_day(time)
        if item not in CATEGORY:
            return NAN, NAN
        if day is None:
            return 0.0, NAN
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
    def _met(self, how: str, day: int | None, item: str) -> dict[str, float]:
        """Give, per past item, its strength with a candidate where that is among its strongest."""
        groups: dict[str, set[str]] = {}
        for event in self._taken(day):
            group = event.session if how == "session" else event.user
            if group is not None:
                groups.setdefault(group, set()).add(event.item)
        counts = Counter(member for group in groups.values() for member in group)
        strengths = {}
        for past in CATEGORY:
            met = Counter(m for group in groups.values() if past in group for m in group - {past})
            scored = sorted(
                (-n / math.sqrt((counts[past] + 5) * (counts[other] + 5)), other)
                for other, n in met.items()
            )
            for value, other in scored[: self.settings.neighbours]:
                if other == item:
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


def _visit(event: Event) -> str | None:
    """Name the visit: a session on a day, or else a user on a day."""
    if event.session is None and event.user is None:
        return None
    of = event.user if event.session is None else event.session
    return f"{event.session is None} {of} {moment(event.time).date()}"


def _key(key: tuple[str, ...], user: str | None, item: str) -> tuple[str | None, ...]:
    return tuple(user if part == "user" else _value(part, item) for part in key)


def _value(attribute: str, item: str) -> str | None:
    known = item if item in CATEGORY else None
    return {"item": known, "category": CATEGORY.get(item), PRICE_BAND: BAND.get(item)}[attribute]


def _values(attribute: str) -> list[str]:
    found = {_value(attribute, item) for item in CATEGORY}
    return sorted(value for value in found if value is not None)


def _tag_affinity(last: Sequence[str], item: str, smoothing: float) -> float:
    """Compare the tags of the last items with those of all."""
    tags = {each: set(found or ()) for each, found in TAGS.items()}
    mine = tags.get(item, set())
    if not mine or not last:
        return NAN
    n_tags = len(set().union(*tags.values()))
    usual = {
        tag: (sum(tag in each for each in tags.values()) + 1) / (len(tags) + n_tags) for tag in mine
    }
    own = {
        tag: (sum(tag in tags[each] for each in last) + smoothing * usual[tag])
        / (len(last) + smoothing)
        for tag in mine
    }
    return math.log(sum(own.values()) / sum(usual.values()))


def _log_price(item: str) -> float:
    price = PRICE.get(item)
    return NAN if price is None else math.log(1 + price)
