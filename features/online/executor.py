"""The online executor: features of one request, from a state that is updated event by event."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from features.arrays.clock import DAY, present
from features.arrays.key_index import MISSING
from features.batch.state import FeatureState
from features.feature_set import FeatureSet
from features.kinds.counts import rate_name
from features.log.catalogue import LoggedCatalogue
from features.log.events import event_kinds
from features.log.item_columns import TEXT
from features.log.requests import Rows
from features.online.encode import EventEncoder
from features.online.events import IncomingEvents, ShownItems
from features.online.hydrate import hydrate
from features.online.items import GrowingCatalogue
from features.online.owner import OwnerThread
from features.online.reader import OnlineReader
from features.online.state import EventCounts, OnlineState, Retention
from features.online.state_files import load_state, save_state
from features.settings import FeatureSettings
from features.snapshots.snapshot import NamedSnapshot, Snapshot
from features.snapshots.take import empty_snapshot

_GREATEST = float(np.finfo(np.float32).max)

SnapshotSource = Callable[[int], NamedSnapshot | None]
"""Gives the snapshot due at a midnight by its day number; None keeps the last one."""


class OnlineFeatures:
    """Features of a request at any moment from the clock on, equal to the batch executor's.

    The clock moves with requests (`read`) and with `advance`. Events after it are pending:
    a request sees only what was known before its moment. A request from before the clock is
    answered as of the clock.

    One thread uses it: the first one that does, unless it hands over (`hand_over`). Any call from
    another is a RuntimeError.

    Args:
        state: Counters and histories.
        features: What is computed.
        settings: Cadence of snapshots, and retention.
        snapshot: The last one taken.
        snapshots: Where the next ones come from; without it the last one stays.
        silence: Microseconds a request may move the clock beyond the last arrival;
            None lets it go on for ever.

    Attributes:
        features: What is computed.
    """

    def __init__(
        self,
        state: OnlineState,
        features: FeatureSet,
        settings: FeatureSettings,
        snapshot: Snapshot,
        snapshots: SnapshotSource | None = None,
        silence: int | None = None,
    ) -> None:
        self._state = state
        self._owner = OwnerThread()
        self.features = features
        self.settings = settings
        self.snapshot = snapshot
        self._snapshots = snapshots
        self._silence = silence
        self._slots = np.full(len(snapshot.repeat_rate) + 1, MISSING, np.int32)
        self._encoder = EventEncoder(state, state.catalogue)

    @classmethod
    def empty(
        cls,
        catalogue: LoggedCatalogue,
        features: FeatureSet,
        settings: FeatureSettings,
        kinds: Sequence[str],
        first_day: int,
        window: int,
        snapshots: SnapshotSource | None = None,
    ) -> "OnlineFeatures":
        """Executor before the first event.

        Args:
            catalogue: The versions of items that were known before the first day.
            features: What is computed.
            settings: Cadence of snapshots, and retention.
            kinds: Kinds of interaction, weakest first.
            first_day: Day number at whose midnight the clock begins.
            window: The attribution window, in microseconds.
            snapshots: Where snapshots come from.

        Returns:
            Features of a shop without any event.
        """
        every_kind, memory = event_kinds(kinds), Retention.of(settings, window)
        items = GrowingCatalogue(catalogue)
        state = OnlineState(features.counters, items, every_kind, memory, first_day * DAY)
        rates = {rate_name(kind, per): 1.0 for kind, per in features.rates}
        columns = features.valued_columns
        first = empty_snapshot(first_day, catalogue, columns, len(catalogue), rates)
        return cls(state, features, settings, first, snapshots)

    @classmethod
    def hydrate(
        cls,
        state: FeatureState,
        catalogue: LoggedCatalogue,
        user_ids: Sequence[str],
        features: FeatureSet,
        settings: FeatureSettings,
        snapshots: SnapshotSource | None = None,
        silence: int | None = None,
    ) -> "OnlineFeatures":
        """Executor at the midnight of a batch state.

        Args:
            state: What the batch executor left, with its snapshot.
            catalogue: The versions of the items from the midnight on, by the state's codes.
            user_ids: The users, in the order of their codes.
            features: What is computed.
            settings: Cadence of snapshots, and retention.
            snapshots: Where the next snapshots come from.
            silence: Microseconds a request may move the clock beyond the last arrival.

        Returns:
            Features as of that midnight. Identifiers and visits of events, and the impressions that
            may still lead to some, are not in a batch state: `mark_seen` takes note of them.
        """
        items = GrowingCatalogue(catalogue)
        online = hydrate(state, features.counters, items, user_ids, settings)
        return cls(online, features, settings, state.snapshot, snapshots, silence)

    @classmethod
    def load(
        cls,
        folder: Path,
        features: FeatureSet,
        settings: FeatureSettings,
        kinds: Sequence[str],
        snapshot: NamedSnapshot,
        snapshots: SnapshotSource | None = None,
        silence: int | None = None,
    ) -> "OnlineFeatures":
        """Load what `save` wrote.

        Args:
            folder: Where to read.
            features: What is computed.
            settings: Cadence of snapshots, and retention.
            kinds: Kinds of interaction, weakest first.
            snapshot: The last one taken at or before the saved clock.
            snapshots: Where the next ones come from.
            silence: Microseconds a request may move the clock beyond the last arrival.

        Returns:
            Features that go on bit for bit as the saved ones.

        Raises:
            BundleError: The folder is damaged or was kept for other features.
        """
        state = load_state(folder, features.counters, event_kinds(kinds))
        coded = _coded(snapshot, state.catalogue)
        return cls(state, features, settings, coded, snapshots, silence)

    def save(self, folder: Path) -> None:
        """Write the state, without the snapshot, atomically.

        Args:
            folder: Where to write; it is replaced.
        """
        save_state(self.state, folder)

    @property
    def state(self) -> OnlineState:
        """Counters and histories, for the thread that owns them."""
        self._owner.require()
        return self._state

    @property
    def text_codes(self) -> Mapping[str, int]:
        """Code of each text of an item by its name; it grows with the catalogue.

        Any thread may ask for it before the state has an owner.
        """
        return self._state.catalogue.code_of(TEXT)

    @property
    def catalogue(self) -> GrowingCatalogue:
        """The items."""
        return self.state.catalogue

    def hand_over(self) -> None:
        """Let the next thread that calls be the owner; call it from the one that is."""
        self._owner.hand_over()

    @property
    def clock(self) -> int:
        """UTC microseconds: everything known before is counted."""
        return self.state.clock

    @property
    def counts(self) -> EventCounts:
        """Numbers of events counted and left out so far."""
        return self.state.counts

    @property
    def users(self) -> Mapping[str, int]:
        """Code of each user that has events."""
        return self.state.users.codes

    def fold(self, events: IncomingEvents, now: int | None = None) -> None:
        """Fold interactions in; they count once the clock has passed the instant they were known.

        Events of one call may be in any order. Those of kinds no feature reads are ignored, those
        that arrived too late, are dated more than `AHEAD` after their arrival or the present, and
        further copies of an event are dropped: all are counted in `counts`. So what is pending is
        known within a day, and nothing waits for ever.

        Args:
            events: The interactions.
            now: UTC microseconds; by this machine's clock when absent.
        """
        self.state.pending.add(self._encoder.encode(events, present() if now is None else now))

    def mark_seen(self, events: IncomingEvents, shown: Sequence[ShownItems] = ()) -> None:
        """Mark interactions and impressions as counted already, as after `hydrate`.

        Further copies of the interactions will be dropped, and their visits are not counted again.
        What the impressions led to is not counted again, and they may lead to more. Call it once.

        Args:
            events: Interactions that were known before the clock; those of the last `late_days` and
                one more are enough.
            shown: Impressions that were known before the clock; those of the last two attribution
                windows are enough.
        """
        now = present()
        slates = [self._encoder.encode_shown(each, now) for each in shown]
        counting = [slate for slate in slates if slate is not None]
        self.state.mark_seen(self._encoder.encode(events, now), counting)

    def fold_shown(self, shown: ShownItems, now: int | None = None) -> None:
        """Fold impressions of one request in; they count once they are known.

        Those that arrived too late, or are dated more than `AHEAD` after their arrival or the
        present, are dropped and counted.

        Args:
            shown: What was shown.
            now: UTC microseconds; by this machine's clock when absent.
        """
        slate = self._encoder.encode_shown(shown, present() if now is None else now)
        if slate is not None:
            self.state.pending.shown.append(slate)

    def fold_items(self, records: pl.DataFrame) -> None:
        """Fold records of items in, new items or new versions; each counts once it is known.

        Args:
            records: A table that keeps the contract of items, with every column that is read.
        """
        self.state.catalogue.add(records)

    def advance(self, now: int) -> None:
        """Move the clock forward to an instant.

        Args:
            now: UTC microseconds.
        """
        before = self.state.day
        self.state.advance(now)
        if self.state.day > before and self._snapshots is not None:
            cadence = self.settings.snapshot_days
            due = self.state.day // cadence * cadence
            if due > self.snapshot.day and (taken := self._snapshots(due)) is not None:
                self.snapshot = _coded(taken, self.catalogue)
                self._slots = np.full(len(self.snapshot.repeat_rate) + 1, MISSING, np.int32)

    def rows(
        self,
        item_ids: Sequence[str],
        user_id: str | None,
        time_us: int,
        given: Mapping[str, np.ndarray],
        context: Mapping[str, str | float] | None = None,
    ) -> Rows:
        """Encode a request.

        Args:
            item_ids: The candidates; ones that the log has not named are unknown items.
            user_id: The user; None for a guest.
            time_us: Moment of the request, UTC microseconds.
            given: Caller-supplied numbers by name, float32 [n_candidates], NaN where not given.
            context: What the caller knew of the visit: words, and numbers for all candidates.

        Returns:
            The rows of the request, in the order of the candidates.
        """
        code = self.catalogue.index.get
        user = MISSING if user_id is None else self.state.users.find(user_id)
        return Rows(
            np.array([time_us], np.int64),
            np.array([user], np.int32),
            np.array([0, len(item_ids)], np.int64),
            np.array([code(item, MISSING) for item in item_ids], np.int32),
            self._with_context(given, context, len(item_ids)) if context else given,
            {name: [_word((context or {}).get(name))] for name in self.features.context},
        )

    def _with_context(
        self, given: Mapping[str, np.ndarray], context: Mapping[str, str | float], count: int
    ) -> Mapping[str, np.ndarray]:
        """Add the numbers that the context has for all candidates, and no candidate for itself."""
        numbers = {
            name: np.full(count, _number(context[name]), np.float32)
            for name in self.features.given
            if name not in given and name in context
        }
        return {**given, **numbers}

    def read(self, rows: Rows) -> tuple[np.ndarray, OnlineReader]:
        """Compute the features of one request; the clock moves to its moment, if silence allows.

        Args:
            rows: What `rows` gave.

        Returns:
            float32 [n_candidates, n_features], NaN where a value is missing, and the reader, whose
            history is the user's and whose moment is the one the features are as of.
        """
        moment = int(rows.request_time[0])
        if self._silence is not None:
            moment = min(moment, self._encoder.latest_arrival + self._silence)
        self.advance(moment)
        state, snapshot = self.state, self.snapshot
        history = state.history.of_user(int(rows.request_user[0]))
        reader = OnlineReader(
            rows,
            np.array([state.clock], np.int64),
            self.catalogue,
            lambda: history,
            lambda: snapshot,
            state.tables,
        )
        # One array for all requests: a fresh one of the catalogue's size would cost much of a read.
        reader.slots = self._slots
        return self.features.matrix(reader), reader


def _coded(snapshot: NamedSnapshot, catalogue: GrowingCatalogue) -> Snapshot:
    """Give a snapshot by the codes of a catalogue."""
    values = {name: catalogue.code_of(name) for name in snapshot.values}
    return snapshot.coded(catalogue.index, values)


def _word(value: str | float | None) -> str | None:
    return None if value is None else str(value)


def _number(value: str | float) -> float:
    """Read a number that float32 holds; all else is missing."""
    try:
        number = float(value)
    except ValueError:
        return np.nan
    return number if abs(number) <= _GREATEST else np.nan
