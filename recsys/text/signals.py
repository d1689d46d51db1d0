"""What the text says of each candidate: the signals that the ranker's text columns come from.

There is one, the interest match. Companions that were tried beside it added nothing once it looked
at the whole history (docs/text.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from data_contracts.progress import Track, silent
from features.log.history import History
from recsys.labels.slates import LabelledSlates
from recsys.text.interest import InterestTable

INTEREST_MATCH = "interest_match"
SIGNALS = (INTEREST_MATCH,)
RANKED_SIGNALS = (INTEREST_MATCH,)
"""Those whose place in the slate is a column of the ranker too."""


@dataclass(frozen=True)
class TextSignals:
    """The catalogue as the text model sees it: what a request needs is a look-up.

    Attributes:
        interest: For the interest match.
        newest: Interactions that make the profile of the interest match.
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
        """Give the signals of one request.

        Args:
            item: int32 [n], places in the catalogue; negative for unknown items.
            inline: Text vectors of candidates that brought their text, by place among the n.
            history: Of the request's user, [1, k], newest first.
            time: UTC microseconds of the request.
            query: Text vector of the query, float32 [dim]; None or NaN without one.

        Returns:
            float32 [n, n_signals] in the order of `SIGNALS`; NaN for candidates without text.
        """
        candidates = self.interest.candidates(item, inline)
        match = self.interest.match(candidates, item, history.newest(self.newest), time, query)
        return match[:, None]


def signal_rows(
    signals: TextSignals,
    slates: LabelledSlates,
    query_vectors: np.ndarray,
    track: Track = silent,
) -> np.ndarray:
    """Give the signals of every row of some requests.

    Args:
        signals: The catalogue as the text model sees it.
        slates: The requests, with at least `signals.newest` interactions of each history; their
            grades are not looked at.
        query_vectors: float32 [n_queries, dim].
        track: Shows progress.

    Returns:
        float32 [n_rows, n_signals] in the order of `SIGNALS`; NaN for items without text.
    """
    rows = slates.rows
    found = np.empty((len(rows), len(SIGNALS)), np.float32)
    for request in track(range(len(slates)), "Matching texts", len(slates)):
        span = slice(int(rows.offsets[request]), int(rows.offsets[request + 1]))
        asked = slates.query[request]
        found[span] = signals.read(
            rows.item[span],
            {},
            slates.history.take(np.array([request])),
            int(rows.request_time[request]),
            query_vectors[asked] if asked >= 0 else None,
        )
    return found
