import lightgbm as lgb
import numpy as np
import pytest

from recsys.evaluation.rankers import ranker_facts
from recsys.evaluation.result import BEHAVIOUR_ONLY, TEXT_AND_BEHAVIOUR
from recsys.ranker.ranker import Ranker


def ranker(telling: int, trees: int) -> Ranker:
    """Fit trees to data that one of two columns explains whole."""
    matrix = np.random.default_rng(0).normal(size=(200, 2))
    names = ["a", "b"]
    data = lgb.Dataset(matrix, (matrix[:, telling] > 0).astype(float), feature_name=names)
    settings = {"objective": "binary", "verbosity": -1, "max_depth": 1, "num_threads": 1}
    return Ranker(lgb.train(settings, data, num_boost_round=trees), tuple(names))


def test_shares_of_the_gain_are_a_mean_over_bundles_and_trees_are_told_for_each() -> None:
    pairs = [(ranker(0, 3), ranker(1, 1)), (ranker(1, 5), ranker(1, 2))]
    full, no_text = ranker_facts(pairs)
    assert (full.model, no_text.model) == (TEXT_AND_BEHAVIOUR, BEHAVIOUR_ONLY)
    assert (full.trees, no_text.trees) == ((3, 5), (1, 2))
    shares = {each.column: each.share for each in full.importances}
    assert shares == pytest.approx({"a": (1 + 0) / 2, "b": (0 + 1) / 2})
    assert [(each.column, each.share) for each in no_text.importances] == [("b", 1), ("a", 0)]


def test_a_ranker_without_a_split_leans_on_nothing() -> None:
    nothing = lgb.Dataset(np.zeros((20, 2)), np.arange(20) % 2, feature_name=["a", "b"])
    stump = lgb.train({"objective": "binary", "verbosity": -1}, nothing, num_boost_round=1)
    found, _ = ranker_facts([(Ranker(stump, ("a", "b")),) * 2])
    assert [each.share for each in found.importances] == [0, 0]
