"""Token ids of the distinct texts of a catalogue and its queries."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recsys.text.encoder.bert import TextEncoder


@dataclass(frozen=True)
class TokenTable:
    """Every distinct text once.

    Attributes:
        texts: The texts.
        ids: Token ids of all texts, one after another, int32 [n_tokens].
        offsets: Where each text's begin and end, int64 [n_texts + 1].
        item_text: The text of each item, int64 [n_items]; -1 without one.
        query_text: The text of each query, int64 [n_queries]; -1 without one.
        cut: Texts that were longer than the encoder reads.
        pad_id: Id that fills a batch up.
    """

    texts: Sequence[str]
    ids: np.ndarray
    offsets: np.ndarray
    item_text: np.ndarray
    query_text: np.ndarray
    cut: int
    pad_id: int

    @classmethod
    def of(cls, items: Sequence[str], queries: Sequence[str], encoder: TextEncoder) -> "TokenTable":
        """Tokenise a catalogue.

        Args:
            items: Text of each item; empty for none.
            queries: Distinct queries.
            encoder: Whose tokenizer cuts them.

        Returns:
            The table.
        """
        distinct = dict.fromkeys(text for text in (*items, *queries) if text)
        place = {text: n for n, text in enumerate(distinct)}
        texts = list(place)
        tokens = encoder.text_tokenizer.tokens(texts)
        return cls(
            texts,
            np.concatenate([np.zeros(0, np.int32), *(np.array(t, np.int32) for t in tokens.ids)]),
            np.append(0, np.cumsum(tokens.lengths)).astype(np.int64),
            np.array([place.get(text, -1) for text in items], np.int64),
            np.array([place.get(text, -1) for text in queries], np.int64),
            int(tokens.cut.sum()),
            encoder.text_tokenizer.pad_id,
        )

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each text, int64 [n_texts]."""
        return np.diff(self.offsets)

    def batch(self, texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Put texts side by side.

        Args:
            texts: int64 [b], places of texts.

        Returns:
            Token ids and mask, both int64 [b, w].
        """
        lengths = self.lengths[texts]
        columns = np.arange(lengths.max(initial=1))
        mask = columns < lengths[:, None]
        ids = np.full(mask.shape, self.pad_id, np.int64)
        ids[mask] = self.ids[(self.offsets[texts][:, None] + columns)[mask]]
        return ids, mask.astype(np.int64)
