"""Plays a small world through the online executor."""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from features.arrays.clock import DAY
from features.feature_set import FeatureSet
from features.log.catalogue import LoggedCatalogue
from features.log.item_columns import KNOWN, item_versions
from features.log.log import Log
from features.online.events import IncomingEvents, ShownItems
from features.online.executor import OnlineFeatures, SnapshotSource
from tests.features.worlds import (
    FEATURES,
    KINDS,
    SETTINGS,
    Event,
    Request,
    World,
    items_table,
)


def incoming(events: Sequence[Event]) -> IncomingEvents:
    return IncomingEvents(
        [event.event_id for event in events],
        [event.kind for event in events],
        [event.user for event in events],
        [event.item for event in events],
        [event.session for event in events],
        [event.request for event in events],
        [event.time for event in events],
        [event.ingested if event.late else None for event in events],
        [event.value for event in events],
    )


def by_arrival(world: World) -> list[Event]:
    return sorted(world.events, key=lambda event: event.known)


def by_time(world: World) -> list[Request]:
    return sorted(world.requests, key=lambda request: (request.time, request.request_id))


def shown(request: Request) -> ShownItems:
    ingested = request.time + request.late if request.late else None
    return ShownItems(
        request.request_id, request.items, request.user, request.session, request.time, ingested
    )


def catalogue_of(world: World, before: float, features: FeatureSet = FEATURES) -> LoggedCatalogue:
    """Give the items as far as they are known before a moment."""
    known = [record for record in world.records if record.known < before]
    versions = item_versions(items_table(known).collect())
    first = versions.group_by("item_id").agg(pl.col(KNOWN).min()).sort(KNOWN, "item_id")
    return LoggedCatalogue.of(versions, features.item_columns, first["item_id"])


def empty(world: World, log: Log, snapshots: SnapshotSource) -> OnlineFeatures:
    items = catalogue_of(world, log.first_day * DAY)
    return OnlineFeatures.empty(
        items, FEATURES, SETTINGS, KINDS, log.first_day, log.window, snapshots
    )


class Replay:
    """Folds the events of a world in batches of given sizes, just before a request needs them.

    Records of items and late impressions are folded just before too, each by itself.
    """

    def __init__(self, world: World, sizes: Iterator[int], start_day: int = 0) -> None:
        start = start_day * DAY
        self.requests = [each for each in by_time(world) if each.time >= start]
        self._earlier = [each for each in by_time(world) if each.time < start]
        self._events = [event for event in by_arrival(world) if event.known >= start]
        self._records = sorted(
            (record for record in world.records if record.known >= start),
            key=lambda record: (record.known, record.item),
        )
        late = [each for each in self._earlier if each.known >= start and each.late]
        self._late = sorted(late, key=lambda each: each.known)
        self._sizes = sizes

    def fold_before(self, online: OnlineFeatures, time: int) -> None:
        """Fold whole batches until nothing that was known before `time` is left."""
        while self._records and self._records[0].known < time:
            same = [each for each in self._records if each.known == self._records[0].known]
            online.fold_items(items_table(same).collect())
            self._records = self._records[len(same) :]
        while self._late and self._late[0].known < time:
            online.fold_shown(shown(self._late.pop(0)))
        while self._events and self._events[0].known < time:
            size = next(self._sizes)
            online.fold(incoming(self._events[:size]))
            self._events = self._events[size:]

    def ask(self, online: OnlineFeatures, request: Request) -> np.ndarray:
        self.fold_before(online, request.time)
        score = np.array([request.score.get(item, np.nan) for item in request.items], np.float32)
        words = {} if request.device is None else {"device": request.device}
        rows = online.rows(request.items, request.user, request.time, {"score": score}, words)
        matrix, _ = online.read(rows)
        if request.late <= 0:
            online.fold_shown(shown(request))
        else:
            self._late = sorted([*self._late, request], key=lambda each: each.known)
        return matrix

    def finish(self, online: OnlineFeatures) -> None:
        self.fold_before(online, np.iinfo(np.int64).max)
