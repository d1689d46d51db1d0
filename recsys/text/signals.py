"""The interest match of requests: of one that is served, and of many that are in the log."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from data_contracts.progress import Track, silent
from features.log.history import History
from recsys.labels.slates import LabelledSlates
from recsys.text.interest import InterestTable

INTEREST_MATCH = "interest_match"


@dataclass(frozen=True)
class TextSignals:
    """A table of the catalogue, and how much of a history is matched with it.

    Attributes:
        interest: The catalogue in the space of matches.
        newest: Interactions of a history that are read, at the most.
    """

    interest: InterestTable
    newest: int

    def read(
        self,
        item: np.ndarray,
        inline: Mapping[int, np.ndarray],
        history: History,
        time: int,
        query: np.ndarray | None,
    ) -> np.ndarray:
        """Give the interest match of one request's candidates.

        Args:
            item: int32 [n], places in the catalogue; negative for unknown items.
            inline: Text vectors of candidates that brought their text, by place among the n.
            history: Of the request's user, newest first.
            time: UTC microseconds of the request.
            query: Text vector of the query, float32 [dim]; None or NaN without one.

        Returns:
            float32 [n], higher is better; NaN for candidates without text.
        """
        candidates = self.interest.candidates(item, inline)
        return self.interest.match(candidates, item, history.newest(self.newest), time, query)


def match_rows(
    signals: TextSignals,
    slates: LabelledSlates,
    query_vectors: np.ndarray,
    track: Track = silent,
) -> np.ndarray:
    """Give the interest match of every row of some requests.

    Args:
        signals: The catalogue.
        slates: The requests, with at least `signals.newest` interactions of each history; their
            grades are not read.
        query_vectors: float32 [n_queries, dim].
        track: Shows progress, a step a request.

    Returns:
        float32 [n_rows], higher is better; NaN for items without text.
    """
    rows = slates.rows
    match = np.empty(len(rows), np.float32)
    for request in track(range(len(slates)), "Matching texts", len(slates)):
        span = slice(int(rows.offsets[request]), int(rows.offsets[request + 1]))
        asked = slates.query[request]
        match[span] = signals.read(
            rows.item[span],
            {},
            slates.history.of(request),
            int(rows.request_time[request]),
            query_vectors[asked] if asked >= 0 else None,
        )
    return match
