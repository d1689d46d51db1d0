"""Small random logs that meet every edge: equal times, window edges, guests, unknown items."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import strategies as st

from data_contracts.events import Impressions, Interactions
from data_contracts.items import Items
from features.arrays.clock import DAY, HOUR
from features.backfill.run import ROWS, STATE, Scope, backfill
from features.batch.state import FeatureState
from features.batch.state_files import load_state
from features.counter_spec import EVER
from features.defaults import default_features
from features.feature_set import FeatureSet
from features.kinds.affinity import Affinity
from features.kinds.context import ContextWord
from features.kinds.counts import FirstSeen, WindowCount, WindowSum
from features.kinds.history import LastShare, TagAffinity
from features.kinds.item import AttributeCode, AttributeNumber
from features.kinds.slate import SlateDifference, SlateRank
from features.log.item_columns import PRICE_BAND
from features.log.log import Log, open_log
from features.log.tables import LogTables
from features.settings import FeatureSettings

KINDS = ("click", "purchase")
START = datetime(2024, 2, 25, tzinfo=UTC)
"""Day 4 is the 29th of February."""
FIRST = int(START.timestamp()) * 1_000_000
WINDOW = 2 * DAY
"""Attribution window."""
LAST = FIRST + 150 * DAY
"""When the last slate of a random world is shown, so that all events lie before the log's end."""
SETTINGS = FeatureSettings(
    windows_days=(1, 7, 8, 30),
    timezone="Asia/Kathmandu",
    given=("score",),
    history=4,
    forget_days=90,
    late_days=20,
    snapshot_days=3,
    snapshot_window_days=20,
    neighbours=3,
    smoothing=2.0,
)
MORE = (
    LastShare("item", 3),
    LastShare("category", 2),
    TagAffinity(3, 2.0),
    ContextWord("device", ("phone", "desktop")),
    AttributeCode("category"),
    AttributeNumber("weight"),
    AttributeCode(PRICE_BAND),
    WindowCount((PRICE_BAND,), "click", 7),
    Affinity(PRICE_BAND, "click", EVER, 2.0),
    WindowSum(("user",), "purchase", 30),
    WindowSum(("user", "item"), "click", 1),
    WindowSum(("item",), "click", EVER),
    FirstSeen(("user",), "click"),
    SlateRank("item_price"),
    SlateDifference("item_price"),
    SlateDifference("user_item_days_since_click"),
)
"""Kinds and parameters that the default set does not have."""
FEATURES = default_features(SETTINGS, KINDS, logged=True).with_more(MORE)

BANDS = {1.0: "1 to 2", 2.5: "2 to 4", None: None, 10.0: "8 to 16", 0.0: "0", 17.0: "16 to 32"}
"""The band of each price: from a power of two to the next."""


@dataclass(frozen=True)
class Record:
    """One version of an item; times are UTC microseconds, `late` is how long after it arrived."""

    item: str
    category: str | None = None
    price: float | None = None
    weight: float | None = None
    tags: Sequence[str] | None = None
    listed: int | None = None
    updated: int | None = None
    late: int | None = None
    deleted: bool | None = None

    @property
    def since(self) -> float:
        """When it came into force."""
        return -math.inf if self.updated is None else self.updated

    @property
    def known(self) -> float:
        """The last instant before anyone could know of it."""
        return self.since + max(self.late or 0, 0) - 1


ITEMS = (
    Record("i0", "a", 1.0, 1.5, ["x", "y"], FIRST - 3 * DAY),
    Record("i1", "a", 2.5, None, ["y", "z", "y"], FIRST + 2 * DAY),
    Record("i2", "b", None, 0.0, None, None),
    Record("i3", None, 10.0, 7.25, [], FIRST),
    Record("i4", "c", 0.0, -1.0, ["x"], None),
)
"""Items that were always as they are."""
UNKNOWN_ITEM, NEW_ITEM = "gone", "j0"
"""An item without any record, and one whose records all have a time."""
ITEM_IDS = (*(record.item for record in ITEMS), UNKNOWN_ITEM, NEW_ITEM)


@dataclass(frozen=True)
class Event:
    """One interaction; times are UTC microseconds."""

    event_id: str
    kind: str
    user: str | None
    item: str
    session: str | None
    time: int
    late: int = 0
    request: str | None = None

    @property
    def value(self) -> float | None:
        """What was paid, the same for all copies of an event: no order between them matters."""
        number = sum(map(ord, self.event_id))
        return None if number % 3 == 0 else number % 10 / 10

    @property
    def ingested(self) -> int:
        return self.time + self.late

    @property
    def known(self) -> int:
        """The last instant before anyone could know of it."""
        return max(self.time, self.ingested - 1)


@dataclass(frozen=True)
class Request:
    """One slate that was shown."""

    request_id: str
    user: str | None
    time: int
    items: tuple[str, ...]
    score: Mapping[str, float] = field(default_factory=dict)
    late: int = 0
    session: str | None = None

    @property
    def known(self) -> int:
        """The last instant before anyone could know that it was shown."""
        return max(self.time, self.time + self.late - 1)

    @property
    def device(self) -> str | None:
        """What the user held: phone, desktop, another or unknown."""
        return (None, "phone", "desktop", "fridge")[sum(map(ord, self.request_id)) % 4]

    def context(self, item: str) -> list[dict[str, str]] | None:
        """Give what the caller knew, as the table of impressions has it."""
        known = {"score": self.score.get(item), "device": self.device}
        pairs = [{"key": k, "value": str(v)} for k, v in known.items() if v is not None]
        return pairs or None


@dataclass(frozen=True)
class World:
    """A log."""

    events: Sequence[Event]
    requests: Sequence[Request]
    records: Sequence[Record] = ITEMS

    def with_more(
        self,
        events: Sequence[Event],
        requests: Sequence[Request] = (),
        records: Sequence[Record] = (),
    ) -> "World":
        return World(
            [*self.events, *events], [*self.requests, *requests], [*self.records, *records]
        )

    def open(self, folder: Path, settings: FeatureSettings = SETTINGS) -> Log:
        return open_log(self.tables(), settings.late_days, WINDOW, folder / "log")

    def tables(self, columns: Sequence[str] | None = None) -> LogTables:
        """Give the tables; features read all the columns of `FEATURES` unless told."""
        return LogTables(
            items_table(self.records),
            impressions_table(self.requests),
            interactions_table(self.events),
            FEATURES.item_columns if columns is None else columns,
            KINDS,
        )

    def backfill(
        self,
        folder: Path,
        start_day: int | None = None,
        features: FeatureSet = FEATURES,
        settings: FeatureSettings = SETTINGS,
    ) -> tuple[Log, FeatureState, pl.DataFrame]:
        log = self.open(folder, settings)
        backfill(log, features, settings, folder, Scope(first_day=start_day))
        files = sorted((folder / ROWS).glob("*.parquet"))
        rows = pl.concat([pl.read_parquet(file) for file in files])
        return log, load_state(folder / STATE, features)[0], rows


def moment(time: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time)


def maybe_moment(time: int | None) -> datetime | None:
    return None if time is None else moment(time)


def items_table(records: Sequence[Record] = ITEMS) -> pl.LazyFrame:
    rows = [
        {
            Items.item_id.name: each.item,
            Items.title.name: each.item,
            Items.category.name: each.category,
            Items.price.name: each.price,
            Items.tags.name: each.tags,
            "weight": each.weight,
            Items.listed_at.name: maybe_moment(each.listed),
            Items.updated_at.name: maybe_moment(each.updated),
            Items.ingested_at.name: maybe_moment(
                None if each.updated is None or each.late is None else each.updated + each.late
            ),
            Items.deleted.name: each.deleted,
        }
        for each in records
    ]
    return pl.LazyFrame(rows, schema={**Items.create_empty().schema, "weight": pl.Float64})


def interactions_table(events: Sequence[Event]) -> pl.LazyFrame:
    rows = [
        {
            Interactions.event_id.name: event.event_id,
            Interactions.kind.name: event.kind,
            Interactions.user_id.name: event.user,
            Interactions.item_id.name: event.item,
            Interactions.session_id.name: event.session,
            Interactions.request_id.name: event.request,
            Interactions.value.name: event.value,
            Interactions.timestamp.name: moment(event.time),
            Interactions.ingested_at.name: moment(event.ingested) if event.late else None,
        }
        for event in events
    ]
    return pl.LazyFrame(rows, schema=Interactions.create_empty().schema)


def impressions_table(requests: Sequence[Request]) -> pl.LazyFrame:
    rows = [
        {
            Impressions.request_id.name: request.request_id,
            Impressions.item_id.name: item,
            Impressions.user_id.name: request.user,
            Impressions.session_id.name: request.session,
            Impressions.position.name: position,
            Impressions.timestamp.name: moment(request.time),
            Impressions.ingested_at.name: moment(request.time + request.late)
            if request.late
            else None,
            Impressions.context.name: request.context(item),
        }
        for request in requests
        for position, item in enumerate(request.items, start=1)
    ]
    return pl.LazyFrame(rows, schema=Impressions.create_empty().schema)


BY_DAY = {0: 2, 1: 1, 4: 3, 9: 1, 40: 2}
"""Requests of the shop by day after the first."""
EVENT_DAYS = (0, 1, 2, 4, 8, 9, 30, 40)
"""Days after the first on which the shop has interactions, those of requests among them."""
SHOP = World(
    [
        Event(f"e{day}-{hour}", "click", f"u{hour % 3}", f"i{day % 5}", None, time)
        for day in EVENT_DAYS
        for hour in (0, 7, 14)
        for time in [FIRST + day * DAY + hour * HOUR]
    ],
    [
        Request(f"r{day}-{n}", f"u{n}", FIRST + day * DAY + n * 6 * HOUR, ("i0", "i1", "gone"))
        for day, count in BY_DAY.items()
        for n in range(count)
    ],
)

_DAYS = st.sampled_from((0, 1, 2, 4, 7, 8, 9, 29, 30, 31, 90, 91, 92, 121))
_OF_DAY = st.sampled_from((0, 1, HOUR - 1, HOUR, HOUR + 1, 13 * HOUR, DAY - 1))
TIMES = st.builds(lambda day, of_day: FIRST + day * DAY + of_day, _DAYS, _OF_DAY)
LATE = st.sampled_from(
    [
        *(0, 0, 0, 1, 2, HOUR - 1, HOUR, HOUR + 1, 11 * HOUR, DAY, DAY + 1, 2 * DAY, 7 * DAY),
        *(7 * DAY + HOUR, 8 * DAY, 8 * DAY + HOUR + 1, 20 * DAY, 20 * DAY + 1),
        *(-1, -HOUR - 1, -DAY, -DAY - 1, -40 * DAY),
    ]
)
"""How long after it happened an event arrives, in microseconds; after 20 days it is too late. Some
are dated ahead of their arrival, those by more than a day too far."""
USERS = st.sampled_from((None, "u0", "u1", "u2"))


def _event(number: int, kind: str, user: str | None, item: str, *others: Any) -> Event:
    """Name an event after what its copies share, so that another one has another identifier."""
    return Event(f"{kind} {user} {item} {number}", kind, user, item, *others)


EVENTS = st.builds(
    _event,
    st.integers(0, 1),
    st.sampled_from((*KINDS, "wish")),
    USERS,
    st.sampled_from(ITEM_IDS),
    st.sampled_from((None, "s0", "s1")),
    TIMES,
    LATE,
    st.sampled_from((None, None, "r0", "r1", "never shown")),
)
_SLATES = st.lists(st.sampled_from(ITEM_IDS), min_size=1, max_size=5, unique=True).map(tuple)


RECORDS = st.lists(
    st.builds(
        Record,
        st.sampled_from((*ITEM_IDS[:3], NEW_ITEM)),
        st.sampled_from((None, "a", "b", "0 new")),
        st.sampled_from(tuple(BANDS)),
        st.sampled_from((None, 0.0, 2.0)),
        st.sampled_from((None, (), ("x",), ("w", "y"))),
        st.sampled_from((None, FIRST, FIRST + 8 * DAY)),
        TIMES,
        st.sampled_from((None, 0, 1, HOUR, 2 * DAY, -HOUR, 40 * DAY)),
        st.sampled_from((None, None, False, True)),
    ),
    max_size=8,
    unique_by=lambda each: (each.item, each.updated, each.late),
)
"""Versions of some of the items, some of which are known late or never in force."""


@st.composite
def requests(draw: st.DrawFn, prefix: str, max_size: int = 6) -> list[Request]:
    """Draw requests, some by a user without any event."""
    users = st.sampled_from((None, "u0", "u1", "new"))
    scores = st.dictionaries(st.sampled_from(ITEM_IDS), st.sampled_from((0.5, 2.0)), max_size=2)
    sessions = st.sampled_from((None, "s0", "s1"))
    several = st.tuples(users, TIMES, _SLATES, scores, LATE, sessions)
    slates = draw(st.lists(several, min_size=1, max_size=max_size))
    return [Request(f"{prefix}{place}", *slate) for place, slate in enumerate(slates)]


@st.composite
def answers(draw: st.DrawFn, shown: Sequence[Request]) -> Event:
    """Draw an interaction with an item that was shown, at the edges of the attribution window."""
    request = draw(st.sampled_from(shown))
    time = request.time + draw(st.sampled_from(_DELAYS))
    user = draw(st.sampled_from((request.user, request.user, None, "u2")))
    kind, item = draw(st.sampled_from(KINDS)), draw(st.sampled_from(request.items))
    session = draw(st.sampled_from((request.session, None, "s1")))
    late = draw(st.sampled_from((0, 0, 1, HOUR, WINDOW - 1, WINDOW, WINDOW + 1)))
    named = draw(st.sampled_from((None, None, request.request_id)))
    # Only copies share an identifier, and not all of them name the request or the session.
    number = draw(st.integers(0, 2))
    return Event(
        f"{kind} {user} {item} answer {number}", kind, user, item, session, time, late, named
    )


_DELAYS = (-1, 0, 0, 1, 1, HOUR, DAY, WINDOW - 1, WINDOW, WINDOW + 1)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Draw a log of at least one event and two requests."""
    first = Event("e00", "click", "u0", "i0", None, draw(TIMES))
    events, records = draw(st.lists(EVENTS, max_size=40)), draw(RECORDS)
    shown = draw(requests("r"))
    events += draw(st.lists(answers(shown), max_size=15))
    last = Request("r last", None, LAST, ("i0",))
    return World([first, *events], [*shown, last], [*ITEMS, *records])
