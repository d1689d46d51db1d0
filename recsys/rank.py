"""Ranking: a slate comes in, a ranked slate goes out.

Match the text, build the matrix, score, order.
"""

from collections.abc import Mapping
from time import perf_counter

import numpy as np

from data_contracts.slates import RankedSlate, Rung, Slate
from features.arrays.key_index import MISSING
from features.arrays.look_up import look_up
from features.log.item_columns import TEXT
from features.online.reader import OnlineReader
from recsys.bundle.bundle import Bundle, Scorer
from recsys.ranker.ranker import text_columns
from recsys.text.interest import Past
from recsys.text.template import inline_text, query_text

Vectors = Mapping[str, np.ndarray]

_MOST_SHARES = 10
"""Past items named in an explanation."""


def texts_to_encode(bundle: Bundle, slate: Slate) -> list[str]:
    """List the distinct texts of a slate that have no vector yet: unknown items', and the query."""
    texts = dict.fromkeys(
        inline_text(text, bundle.config.text)
        for item, text in zip(slate.item_ids, slate.texts, strict=False)
        if text and not bundle.has_text(item)
    )
    query = query_text(slate.query, bundle.config.text)
    if query not in bundle.queries:
        texts[query] = None
    return list(filter(None, texts))


def rank(
    bundle: Bundle,
    slate: Slate,
    vectors: Vectors,
    *,
    rung: Rung = "full",
    explain: int = 0,
) -> RankedSlate:
    """Put a slate in the order of what this user will most likely click and buy.

    Args:
        bundle: What to rank with.
        slate: The request.
        vectors: Text vectors of `texts_to_encode`, float32 [dim] each; texts that are not there
            are treated as missing.
        rung: How much of the ranker to use; `full` and `cached_text` differ in `vectors` only.
        explain: How many of the best candidates to explain; contributions cost more than scores.

    Returns:
        The candidates, best first; equal scores keep the given order.
    """
    if rung == "given_order":
        return _given_order(bundle, slate)
    clock = _Clock()
    features = bundle.features
    now = int(slate.timestamp.timestamp() * 1e6)
    rows = features.rows(slate.item_ids, slate.user_id, now, slate.given, slate.context)
    behaviour, reader = features.read(rows)
    clock.lap("features")
    matrix, unseen = bundle.codes.read(behaviour)
    scorer, match = bundle.no_text, None
    inline: Mapping[int, np.ndarray] = {}
    if rung != "no_text":
        inline = _inline(bundle, slate, reader, vectors)
        asked = query_text(slate.query, bundle.config.text)
        query = vectors.get(asked, bundle.queries.get(asked))
        text, past = reader.attribute_code(TEXT), past_of(reader)
        match = bundle.signals.read(reader.item, text, inline, past, int(reader.moment[0]), query)
        matrix = np.hstack([matrix, text_columns(match, rows.request)])
        scorer = bundle.full
        clock.lap("match")
    scores = scorer.ranker.score(matrix)
    order = np.argsort(-scores, kind="stable")
    p_click = None
    if scorer.calibration is not None:
        p_click = scorer.calibration.probability(scores, matrix, np.array([len(scores)]))[order]
    clock.lap("score")
    contributions, history_shares = None, None
    if explain:
        contributions = _contributions(scorer, matrix[order[:explain]])
        if match is not None:
            history_shares = _history_shares(bundle, reader, inline, order[:explain])
        clock.lap("explain")
    return RankedSlate(
        item_ids=[slate.item_ids[place] for place in order],
        scores=scores[order],
        p_click=p_click,
        interest_match=None if match is None else match[order],
        rung=rung,
        unknown_items=[slate.item_ids[n] for n in np.flatnonzero(reader.version < 0).tolist()],
        contributions=contributions,
        history_shares=history_shares,
        features=behaviour[order],
        unseen_values=unseen,
        timings_ms=clock.laps,
    )


def past_of(reader: OnlineReader) -> Past:
    """Give the history of a reader's user, with the codes of the texts as of the request."""
    history, catalogue = reader.history, reader.catalogue
    version = catalogue.versions(history.item, reader.moment)
    return Past(history, look_up(catalogue.attributes[TEXT], version, MISSING))


def _inline(
    bundle: Bundle, slate: Slate, reader: OnlineReader, vectors: Vectors
) -> dict[int, np.ndarray]:
    """Give the vectors of candidates that brought their text, by place, where none is known."""
    if not any(slate.texts):
        return {}
    known = bundle.signals.rows_of(reader.attribute_code(TEXT)) >= 0
    texts = {
        place: inline_text(text, bundle.config.text)
        for place, text in enumerate(slate.texts)
        if text and not known[place]
    }
    return {place: vectors[text] for place, text in texts.items() if text in vectors}


def _history_shares(
    bundle: Bundle,
    reader: OnlineReader,
    inline: Mapping[int, np.ndarray],
    places: np.ndarray,
) -> list[dict[str, float] | None]:
    """Name the past items that speak for or against some candidates, strongest first."""
    interest, item_ids = bundle.signals.interest, bundle.item_ids
    text = bundle.signals.rows_of(reader.attribute_code(TEXT))
    candidates = interest.candidates(text, inline)[places]
    before, moment = bundle.signals.newest_of(past_of(reader)), int(reader.moment[0])
    past, shares = interest.by_past_item(candidates, reader.item[places], before, moment)
    strongest = np.argsort(-np.abs(shares), axis=1, kind="stable")[:, :_MOST_SHARES]
    return [
        None
        if np.isnan(candidate[0])
        else {item_ids[past[at]]: float(row[at]) for at in order if row[at] != 0}
        for candidate, row, order in zip(candidates, shares, strongest, strict=True)
    ]


def _contributions(scorer: Scorer, matrix: np.ndarray) -> list[dict[str, float]]:
    shares = scorer.ranker.contributions(matrix)[:, :-1]
    names = scorer.ranker.names
    return [
        {names[column]: float(row[column]) for column in np.argsort(-np.abs(row))} for row in shares
    ]


def _given_order(bundle: Bundle, slate: Slate) -> RankedSlate:
    return RankedSlate(
        item_ids=list(slate.item_ids),
        scores=-np.arange(1.0, len(slate.item_ids) + 1),
        p_click=None,
        interest_match=None,
        rung="given_order",
        unknown_items=[item for item in slate.item_ids if bundle.version_of(item) < 0],
    )


class _Clock:
    """Measures the stages of one request."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = perf_counter()

    def lap(self, name: str) -> None:
        """End a stage: milliseconds since the one before."""
        now = perf_counter()
        self.laps[name] = (now - self._last) * 1e3
        self._last = now
