"""Plays a small world through the online executor."""

from collections.abc import Iterator, Sequence

import numpy as np

from features.arrays.clock import DAY
from features.log.log import Log
from features.online.events import IncomingEvents
from features.online.executor import OnlineFeatures, SnapshotSource
from tests.features.worlds import FEATURES, KINDS, SETTINGS, Event, Request, World


def incoming(events: Sequence[Event]) -> IncomingEvents:
    return IncomingEvents(
        [event.event_id for event in events],
        [event.kind for event in events],
        [event.user for event in events],
        [event.item for event in events],
        [event.session for event in events],
        [event.time for event in events],
        [event.ingested if event.late else None for event in events],
        [event.value for event in events],
    )


def by_arrival(world: World) -> list[Event]:
    return sorted(world.events, key=lambda event: event.known)


def by_time(world: World) -> list[Request]:
    return sorted(world.requests, key=lambda request: (request.time, request.request_id))


def empty(log: Log, snapshots: SnapshotSource) -> OnlineFeatures:
    return OnlineFeatures.empty(log.catalogue, FEATURES, SETTINGS, KINDS, log.first_day, snapshots)


class Replay:
    """Folds the events of a world in batches of given sizes, just before a request needs them."""

    def __init__(self, world: World, sizes: Iterator[int], start_day: int = 0) -> None:
        start = start_day * DAY
        self.requests = [each for each in by_time(world) if each.time >= start]
        self._earlier = [each for each in by_time(world) if each.time < start]
        self._events = [event for event in by_arrival(world) if event.known >= start]
        self._sizes = sizes

    def fold_before(self, online: OnlineFeatures, time: int) -> None:
        """Fold whole batches until nothing that was known before `time` is left."""
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
        online.fold_shown(rows, request.user)
        return matrix

    def finish(self, online: OnlineFeatures) -> None:
        self.fold_before(online, np.iinfo(np.int64).max)
