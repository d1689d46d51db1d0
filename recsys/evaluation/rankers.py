"""What rankers are made of: how many trees, and which columns their fit comes from."""

from collections.abc import Sequence

import numpy as np

from recsys.evaluation.result import BEHAVIOUR_ONLY, TEXT_AND_BEHAVIOUR, ColumnGain, RankerFacts
from recsys.ranker.ranker import Ranker


def ranker_facts(pairs: Sequence[tuple[Ranker, Ranker]]) -> tuple[RankerFacts, RankerFacts]:
    """Count trees, and share the gain of all splits out among the columns.

    Args:
        pairs: The ranker with text and the one without, of each bundle.

    Returns:
        The facts of both, over all bundles.
    """
    full, no_text = zip(*pairs, strict=True)
    return _facts(TEXT_AND_BEHAVIOUR, full), _facts(BEHAVIOUR_ONLY, no_text)


def _facts(model: str, rankers: Sequence[Ranker]) -> RankerFacts:
    share = np.mean([_gain_shares(ranker) for ranker in rankers], axis=0)
    order = np.argsort(-share, kind="stable")
    names = rankers[0].names
    return RankerFacts(
        model=model,
        trees=tuple(ranker.booster.num_trees() for ranker in rankers),
        importances=tuple(ColumnGain(column=names[at], share=float(share[at])) for at in order),
    )


def _gain_shares(ranker: Ranker) -> np.ndarray:
    """Share of each column in the gain of all splits, float64 [n_features]; 0 without a split."""
    gain = ranker.booster.feature_importance("gain")
    return gain / max(float(gain.sum()), np.finfo(np.float64).tiny)
