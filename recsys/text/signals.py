"""The interest match of requests: of one that is served, and of many that are in the log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from data_contracts.progress import Track, silent
from features.arrays.key_index import MISSING, grown
from features.arrays.look_up import look_up
from recsys.labels.slates import LabelledSlates
from recsys.text.interest import InterestTable, Past

INTEREST_MATCH = "interest_match"


@dataclass
class TextSignals:
    """A table of texts, which of them a catalogue's are, and how much of a history is matched.

    Attributes:
        interest: The texts in the space of matches.
        rows: Row of each text of the table by its name.
        codes: Code of each text of the catalogue by its name.
        newest: Interactions of a history that are read, at the most.
        row: int32 [n_codes], row of each text of the catalogue by its code; negative where the
            table does not have it, as it does not have texts of codes beyond.
    """

    interest: InterestTable
    rows: dict[str, int]
    codes: Mapping[str, int]
    newest: int
    row: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.row = np.array([self.rows.get(key, MISSING) for key in self.codes], np.int32)

    @classmethod
    def of(cls, interest: InterestTable, keys: Sequence[str], newest: int) -> "TextSignals":
        """Signals for the catalogue whose texts are those of a table, in the order of the codes.

        Args:
            interest: The table.
            keys: Name of each text.
            newest: Interactions of a history that are read, at the most.

        Returns:
            The signals.
        """
        names = {key: row for row, key in enumerate(keys)}
        return cls(interest, names, names, newest)

    def of_catalogue(self, codes: Mapping[str, int]) -> "TextSignals":
        """Give the same table for a catalogue whose texts have other codes.

        Args:
            codes: Code of each text of that catalogue by its name, in order; it may grow.

        Returns:
            The signals; texts that the table does not have are without a row.
        """
        return replace(self, codes=codes)

    def learn(self, vectors: Mapping[str, np.ndarray]) -> None:
        """Add texts to the table, which all signals of the table share.

        Args:
            vectors: Text vector of each text by its name, float32 [dim]; those that are there
                already stay as they are.
        """
        for key, vector in vectors.items():
            if key not in self.rows:
                self.rows[key] = self.interest.add(vector)
            if (code := self.codes.get(key)) is not None:
                self.row = grown(self.row, code + 1, MISSING)
                self.row[code] = self.rows[key]

    def rows_of(self, text: np.ndarray) -> np.ndarray:
        """Row of each text by its code, int32 [n]; negative without one."""
        return look_up(self.row, text, MISSING)

    def read(
        self,
        item: np.ndarray,
        text: np.ndarray,
        inline: Mapping[int, np.ndarray],
        past: Past,
        time: int,
        query: np.ndarray | None,
    ) -> np.ndarray:
        """Give the interest match of one request's candidates.

        Args:
            item: int32 [n], codes; negative for unknown items.
            text: int32 [n], codes of their texts; negative without one.
            inline: Text vectors of candidates that brought their text, by place among the n.
            past: History of the request's user, with the codes of the texts.
            time: UTC microseconds of the request.
            query: Text vector of the query, float32 [dim]; None or NaN without one.

        Returns:
            float32 [n], higher is better; NaN for candidates without text.
        """
        candidates = self.interest.candidates(self.rows_of(text), inline)
        return self.interest.match(candidates, item, self.newest_of(past), time, query)

    def newest_of(self, past: Past) -> Past:
        """Keep what is read of one user's history, with the rows of the texts."""
        newest = past.history.newest(self.newest)
        return Past(newest, self.rows_of(past.text[: len(newest.item)]))


def match_rows(
    signals: TextSignals,
    slates: LabelledSlates,
    query_vectors: np.ndarray,
    track: Track = silent,
) -> np.ndarray:
    """Give the interest match of every row of some requests.

    Args:
        signals: The texts of the catalogue.
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
            slates.text[span],
            {},
            Past(slates.history.of(request), slates.texts_before(request)),
            int(rows.request_time[request]),
            query_vectors[asked] if asked >= 0 else None,
        )
    return match
