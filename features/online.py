"""The online executor: the features of one request, from a state held in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from features.batch_reader import BatchReader
from features.catalogue import MISSING, Catalogue
from features.clock import DAY
from features.feature_set import FeatureSet
from features.log import Rows
from features.reader import Reader
from features.state import FeatureState
from features.state_files import load_state


@dataclass(frozen=True)
class OnlineFeatures:
    """Computes what the batch executor would, as of the state's midnight.

    The clock of counters, recencies, ages and histories stands still at that midnight; hour and
    weekday go by the request's own time. Live events will enter in `read`: the day's
    events as tiles in the reader's `today`, the user's in the history, and the moment becomes the
    request's time.

    Attributes:
        state: The state.
        catalogue: The items.
        users: Place of each user by its identifier.
        features: What is computed.
    """

    state: FeatureState
    catalogue: Catalogue
    users: Mapping[str, int]
    features: FeatureSet

    @classmethod
    def load(cls, folder: Path, features: FeatureSet) -> "OnlineFeatures":
        """Read the state that `save_state` wrote into a folder."""
        state, catalogue, user_ids = load_state(folder, features)
        users = {user: place for place, user in enumerate(user_ids)}
        return cls(state, catalogue, users, features)

    def rows(
        self,
        item_ids: Sequence[str],
        user_id: str | None,
        time_us: int,
        given: Mapping[str, np.ndarray],
    ) -> Rows:
        """Encode a request.

        Args:
            item_ids: The candidates; ones the catalogue does not have are unknown items.
            user_id: The user; None for a guest.
            time_us: Moment of the request, UTC microseconds.
            given: Caller-supplied numbers by name, float32 [n_candidates], NaN where not given.

        Returns:
            The rows of the request, in the order of the candidates.
        """
        place = self.catalogue.index
        user = MISSING if user_id is None else self.users.get(user_id, len(self.users))
        return Rows(
            np.array([time_us], np.int64),
            np.array([user], np.int32),
            np.array([0, len(item_ids)], np.int64),
            np.array([place.get(item, MISSING) for item in item_ids], np.int32),
            given,
        )

    def read(self, rows: Rows) -> tuple[np.ndarray, Reader]:
        """Compute the features of one request.

        Args:
            rows: What `rows` gave.

        Returns:
            float32 [n_candidates, n_features], NaN where a value is missing, and the reader, whose
            history is the user's.
        """
        state = self.state
        reader = BatchReader(
            rows,
            np.full(1, state.day * DAY),
            self.catalogue,
            state.recent.of_user(int(rows.request_user[0])),
            state.snapshot,
            state.counters,
            {},
        )
        return self.features.matrix(reader), reader
