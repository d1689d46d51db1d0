"""Every kind of feature, declared once. A kind is a small class that reads as its definition.

`compute` gets a `Reader`, which answers as of each row's time, so a feature cannot look ahead.
Values are float64 [n_rows]; NaN is the missing value, which LightGBM handles by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from features.clock import NO_TIME, days_since
from features.counters import EVER, CounterSpec
from features.local_time import local_hours_and_weekdays
from features.log import SESSION
from features.reader import ITEM, USER, Reader

Columns = Mapping[str, np.ndarray]


class Feature(Protocol):
    """What every kind offers."""

    @property
    def name(self) -> str:
        """Name of the column."""
        ...

    @property
    def meaning(self) -> str:
        """One sentence: what it is, its unit, and when it is missing."""
        ...

    def needs(self) -> list[CounterSpec]:
        """The counters it reads."""
        ...

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column, float64 [n_rows]; `done` holds the columns declared before it."""
        ...


def _window(days: int) -> str:
    return "ever" if days == EVER else f"{days}d"


def _period(days: int) -> str:
    return "ever" if days == EVER else f"in the last {days} days"


def _label(key: tuple[str, ...]) -> str:
    return "_".join(key)


def _owner(key: tuple[str, ...]) -> str:
    parts = {ITEM: "this item", USER: "this user"}
    return " and ".join(parts.get(part, f"the item's {part}") for part in key)


@dataclass(frozen=True)
class WindowCount:
    """Events of one kind in a window, of an item, an attribute, a user, or a pair of them."""

    key: tuple[str, ...]
    kind: str
    days: int

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"{_label(self.key)}_{self.kind}_{_window(self.days)}"

    @property
    def meaning(self) -> str:
        """One sentence on the column."""
        return f"{self.kind} events of {_owner(self.key)} {_period(self.days)}; count"

    def needs(self) -> list[CounterSpec]:
        """The counters it reads."""
        return [CounterSpec(self.key, self.kind, (self.days,))]

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        return reader.total(self.key, self.kind, self.days)


@dataclass(frozen=True)
class Rate:
    """Smoothed rate of one kind per another: (n + s * prior) / (d + s), the prior a snapshot's."""

    key: tuple[str, ...]
    kind: str
    per: str
    days: int
    smoothing: float

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"{_label(self.key)}_{self.kind}_per_{self.per}_{_window(self.days)}"

    @property
    def meaning(self) -> str:
        """One sentence on the column."""
        return (
            f"{self.kind} per {self.per} of {_owner(self.key)} {_period(self.days)}, "
            f"drawn to the overall rate by {self.smoothing:g} events; ratio"
        )

    def needs(self) -> list[CounterSpec]:
        """The counters it reads."""
        return [CounterSpec(self.key, kind, (self.days,)) for kind in (self.kind, self.per)]

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        prior = reader.snapshot.rates[rate_name(self.kind, self.per)]
        hits = reader.total(self.key, self.kind, self.days)
        tries = reader.total(self.key, self.per, self.days)
        return (hits + self.smoothing * prior) / (tries + self.smoothing)


def rate_name(kind: str, per: str) -> str:
    """Name of the overall rate of one kind per another."""
    return f"{kind}/{per}"


@dataclass(frozen=True)
class Trend:
    """Whether a key's events come faster lately: log ratio of two windows' daily counts."""

    key: tuple[str, ...]
    kind: str
    days: int
    against_days: int

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"{_label(self.key)}_{self.kind}_trend_{self.days}d_{self.against_days}d"

    @property
    def meaning(self) -> str:
        """One sentence on the column."""
        return (
            f"log of {self.kind} events a day of {_owner(self.key)} {_period(self.days)} "
            f"against {self.against_days} days, one event added to both; log ratio"
        )

    def needs(self) -> list[CounterSpec]:
        """The counters it reads."""
        return [CounterSpec(self.key, self.kind, (self.days, self.against_days))]

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        short = reader.total(self.key, self.kind, self.days) + 1
        long = reader.total(self.key, self.kind, self.against_days) + 1
        return np.log(short / self.days) - np.log(long / self.against_days)


@dataclass(frozen=True)
class Recency:
    """Days since the last event of a key."""

    key: tuple[str, ...]
    kind: str

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"{_label(self.key)}_days_since_{self.kind}"

    @property
    def meaning(self) -> str:
        """One sentence on the column."""
        return f"time since the last {self.kind} of {_owner(self.key)}; days, missing when none"

    def needs(self) -> list[CounterSpec]:
        """The counters it reads."""
        return [CounterSpec(self.key, self.kind, (EVER,))]

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        return reader.days_since_last(self.key, self.kind)


@dataclass(frozen=True)
class RepeatShare:
    """In what share of the user's visits this item was taken."""

    kind: str

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"user_item_{self.kind}_share"

    @property
    def meaning(self) -> str:
        """One sentence on the column."""
        return f"{self.kind} events of this user and this item per visit of the user; ratio"

    def needs(self) -> list[CounterSpec]:
        """The counters it reads."""
        pair = CounterSpec((USER, ITEM), self.kind, (EVER,))
        return [pair, CounterSpec((USER,), SESSION, (EVER,))]

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        taken = reader.total((USER, ITEM), self.kind, EVER)
        return taken / (reader.total((USER,), SESSION, EVER) + 1)


@dataclass(frozen=True)
class Rhythm:
    """How overdue an item is: time since the last taking against the user's usual interval."""

    kind: str

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"user_item_{self.kind}_rhythm"

    @property
    def meaning(self) -> str:
        """One sentence on the column."""
        return (
            f"log of the days since the last {self.kind} of this item by this user against their "
            "usual interval, or the item's when the user took it once; missing when never taken"
        )

    def needs(self) -> list[CounterSpec]:
        """The counters it reads."""
        return [CounterSpec((USER, ITEM), self.kind, (EVER,))]

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        key = (USER, ITEM)
        since = reader.days_since_last(key, self.kind)
        span = reader.days_since_first(key, self.kind) - since
        times = reader.total(key, self.kind, EVER)
        own = np.divide(span, times - 1, out=np.full(len(span), np.nan), where=times > 1)
        usual = np.where(own > 0, own, reader.of_item(reader.snapshot.repeat_days))
        return np.log((since + 1) / (usual + 1))


@dataclass(frozen=True)
class ItemRepeat:
    """How often the item's users come back for it: their share, or the days between."""

    measure: str

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"item_repeat_{self.measure}"

    @property
    def meaning(self) -> str:
        """One sentence on the column."""
        if self.measure == "rate":
            return "share of the item's users who took it on a second day, as of the snapshot"
        return "mean days between two takings of this item by one user; missing when none did"

    def needs(self) -> list[CounterSpec]:
        """The counters it reads: none."""
        return []

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        snapshot = reader.snapshot
        return reader.of_item(
            snapshot.repeat_rate if self.measure == "rate" else snapshot.repeat_days
        )


@dataclass(frozen=True)
class Affinity:
    """How much more than others a user takes of an attribute's value: log of smoothed shares."""

    attribute: str
    kind: str
    days: int
    smoothing: float

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"user_{self.attribute}_{self.kind}_affinity_{_window(self.days)}"

    @property
    def meaning(self) -> str:
        """One sentence on the column."""
        return (
            f"log of the share of this user's {self.kind} events {_period(self.days)} with the "
            f"item's {self.attribute}, against everyone's share, drawn to it by "
            f"{self.smoothing:g} events; missing when the item has no {self.attribute}"
        )

    def needs(self) -> list[CounterSpec]:
        """The counters it reads."""
        return [
            CounterSpec((USER, self.attribute), self.kind, (self.days,)),
            CounterSpec((USER,), self.kind, (self.days,)),
        ]

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        taken = reader.total((USER, self.attribute), self.kind, self.days)
        of_all = reader.total((USER,), self.kind, self.days)
        shares = reader.snapshot.shares[self.attribute]
        code = reader.attribute_code(self.attribute)
        usual = np.where(code < 0, np.nan, np.append(shares, np.nan)[np.maximum(code, -1)])
        own = (taken + self.smoothing * usual) / (of_all + self.smoothing)
        return np.log(own / usual)


@dataclass(frozen=True)
class Price:
    """The item's price, as it is."""

    name = "item_price"
    meaning = "log(1 + price); missing when the catalogue has none"

    def needs(self) -> list[CounterSpec]:
        """The counters it reads: none."""
        return []

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        return reader.of_item(reader.catalogue.log_price)


@dataclass(frozen=True)
class PriceAgainstUsual:
    """The item's price against the mean log price of what the user took."""

    kind: str

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"user_{self.kind}_price_against_usual"

    @property
    def meaning(self) -> str:
        """One sentence on the column."""
        return f"log price less the mean of this user's {self.kind} events; missing without any"

    def needs(self) -> list[CounterSpec]:
        """The counters it reads."""
        return [
            CounterSpec((USER,), self.kind, (EVER,), sums_price=True),
            CounterSpec((USER,), self.kind, (EVER,)),
        ]

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        count = reader.total((USER,), self.kind, EVER)
        total = reader.log_price_sum((USER,), self.kind, EVER)
        usual = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
        return reader.of_item(reader.catalogue.log_price) - usual


@dataclass(frozen=True)
class Age:
    """Days since the item was listed."""

    name = "item_age"
    meaning = "time since the item was listed; days, missing when unknown or still to come"

    def needs(self) -> list[CounterSpec]:
        """The counters it reads: none."""
        return []

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        listed, item = reader.catalogue.listed_at, reader.rows.item
        known = np.where(item < 0, NO_TIME, np.append(listed, NO_TIME)[item])
        age = days_since(reader.rows.time, known)
        return np.where(age < 0, np.nan, age)


@dataclass(frozen=True)
class FirstSeen:
    """Days since the first event of an item, for catalogues without listing dates."""

    kind: str

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"item_days_since_first_{self.kind}"

    @property
    def meaning(self) -> str:
        """One sentence on the column."""
        return f"time since the first {self.kind} of this item in the log; days, missing when none"

    def needs(self) -> list[CounterSpec]:
        """The counters it reads."""
        return [CounterSpec((ITEM,), self.kind, (EVER,))]

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        return reader.days_since_first((ITEM,), self.kind)


@dataclass(frozen=True)
class CoVisitation:
    """How strongly a candidate met the user's newest items, by visit or by user."""

    how: str
    pool: str
    newest: int

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"together_{self.how}_{self.pool}_{self.newest}"

    @property
    def meaning(self) -> str:
        """One sentence on the column."""
        return (
            f"{self.pool} over the user's newest {self.newest} interactions of their shrunk cosine "
            f"with this item, by {self.how}, as of the snapshot; 0 when they never met"
        )

    def needs(self) -> list[CounterSpec]:
        """The counters it reads: none."""
        return []

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        strength = reader.meetings(self.how, self.newest)
        if self.pool == "max":
            return strength.max(axis=1, initial=0).astype(np.float64)
        return strength.sum(axis=1, dtype=np.float64)


@dataclass(frozen=True)
class LocalTime:
    """Hour of the day or day of the week where the users live."""

    part: str
    timezone: str

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"request_{self.part}"

    @property
    def meaning(self) -> str:
        """One sentence on the column."""
        unit = "0..23" if self.part == "hour" else "0 is Monday"
        return f"{self.part} of the request in {self.timezone}; {unit}"

    def needs(self) -> list[CounterSpec]:
        """The counters it reads: none."""
        return []

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        hours, weekdays = local_hours_and_weekdays(reader.rows.request_time, self.timezone)
        return (hours if self.part == "hour" else weekdays)[reader.rows.request]


@dataclass(frozen=True)
class Given:
    """A number the caller sent with the candidate."""

    field: str

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"given_{self.field}"

    @property
    def meaning(self) -> str:
        """One sentence on the column."""
        return f"`{self.field}` as the caller sent it; missing when it did not"

    def needs(self) -> list[CounterSpec]:
        """The counters it reads: none."""
        return []

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        given = reader.rows.given.get(self.field)
        return np.full(len(reader.rows), np.nan) if given is None else given.astype(np.float64)


@dataclass(frozen=True)
class SlateRank:
    """Where another column's value stands within the slate."""

    of: str

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"slate_rank_{self.of}"

    @property
    def meaning(self) -> str:
        """One sentence on the column."""
        return (
            f"share of the slate's other candidates with a lower {self.of}, half for equal ones; "
            "0..1, missing where the value is"
        )

    def needs(self) -> list[CounterSpec]:
        """The counters it reads: none beyond its column's."""
        return []

    def compute(self, reader: Reader, done: Columns) -> np.ndarray:
        """Give the column."""
        return slate_rank(done[self.of], reader.rows.request)


def slate_rank(values: np.ndarray, request: np.ndarray) -> np.ndarray:
    """Give the mid-rank of each value within its request, scaled to 0..1.

    Args:
        values: float64 [n_rows].
        request: int64 [n_rows], ascending.

    Returns:
        float64 [n_rows]; 0.5 for an only candidate, NaN where the value is.
    """
    order = np.lexsort((values, request))
    ordered, requests = values[order], request[order]
    place = np.arange(len(values))
    new = np.append(True, (ordered[1:] != ordered[:-1]) | (requests[1:] != requests[:-1]))
    new = new[: len(values)]
    run = np.cumsum(new) - 1
    first = place[new]
    last = np.append(first[1:], len(values)) - 1
    mid = (first[run] + last[run]) / 2
    valid = ~np.isnan(ordered)
    start = np.searchsorted(requests, requests)
    known = np.add.reduceat(valid, np.unique(start)) if len(values) else np.zeros(0)
    others = known[np.cumsum(np.append(True, requests[1:] != requests[:-1])[: len(values)]) - 1] - 1
    share = np.divide(mid - start, others, out=np.full(len(values), 0.5), where=others > 0)
    result = np.empty(len(values))
    result[order] = np.where(valid, share, np.nan)
    return result
