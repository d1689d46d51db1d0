"""What the text says of each candidate: the interest match, and how near its text lies.

The first column is the model's score. The others are companions that the ranker uses beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from data_contracts.progress import Track, silent
from features.history import History
from recsys.dataset import LabelledSlates
from recsys.text.interest import InterestTable
from recsys.text.likeness import LIKENESS, LikenessTable

INTEREST_MATCH = "interest_match"
SIGNALS = (INTEREST_MATCH, *LIKENESS)
RANKED_SIGNALS = (INTEREST_MATCH, LIKENESS[-1])
"""Those whose place in the slate is a column of the ranker too."""


@dataclass(frozen=True)
class TextSignals:
    """The catalogue as the text model sees it: what a request needs is a look-up.

    Attributes:
        interest: For the interest match.
        likeness: For the companions.
        newest: Interactions that make the profile of the interest match.
    """

    interest: InterestTable
    likeness: LikenessTable
    newest: int

    @property
    def history(self) -> int:
        """Interactions per user that are looked at."""
        return max(self.newest, self.likeness.history)

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
            float32 [n, 3] in the order of `SIGNALS`; NaN for candidates without text.
        """
        interest, likeness = self.interest, self.likeness
        candidates = interest.candidates(item, inline)
        match = interest.match(candidates, item, history.newest(self.newest), time, query)
        near = likeness.read(likeness.candidates(item, inline), item, history)
        return np.column_stack([match, near])


def signal_rows(
    signals: TextSignals,
    slates: LabelledSlates,
    query_vectors: np.ndarray,
    track: Track = silent,
) -> np.ndarray:
    """Give the signals of every row of some requests.

    Args:
        signals: The catalogue as the text model sees it.
        slates: The requests, with at least `signals.history` interactions of each history; their
            grades are not looked at.
        query_vectors: float32 [n_queries, dim].
        track: Shows progress.

    Returns:
        float32 [n_rows, 3] in the order of `SIGNALS`; NaN for items without text.
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
