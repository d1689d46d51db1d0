from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from recsys.bundle.bundle import FULL, NO_TEXT, Bundle
from recsys.metrics.ranking import ndcg_at_k, rank_rows
from recsys.ranker.ranker import Ranker
from recsys.training.data import TrainingData
from recsys.training.rows import RankingRows
from recsys.training.scorers import FittedScorer, fit_scorer
from recsys.workspace.config import WorkspaceConfig
from recsys.workspace.feature_sets import features_of


@pytest.fixture(scope="module")
def periods(tiny_data: TrainingData, tiny_bundle: Bundle) -> tuple[RankingRows, RankingRows]:
    """The rows of the ranker's period, and those of the validation."""
    text_until = int(tiny_bundle.manifest.cut_offs.text_trained_until.timestamp() * 1e6)
    split = tiny_data.config.periods
    ranker, validation = (
        tiny_data.rows(tiny_bundle.signals, text_until, period)
        for period in (split.ranker, split.validation)
    )
    return ranker, validation


@pytest.fixture(scope="module")
def config(tiny_data: TrainingData) -> WorkspaceConfig:
    return tiny_data.config


@pytest.fixture(scope="module")
def plain(periods: tuple[RankingRows, RankingRows], config: WorkspaceConfig) -> FittedScorer:
    return fit_scorer(config, *periods, NO_TEXT, seed=0)


def graded(rows: RankingRows, grade: np.ndarray) -> RankingRows:
    slates = replace(rows.slates, grade=grade.astype(np.uint8))
    return replace(rows, requests=replace(rows.requests, slates=slates))


def ndcg(rows: RankingRows, ranker: Ranker, config: WorkspaceConfig, *, with_text: bool) -> float:
    each = rows.for_ranker(with_text=with_text)
    gain = np.asarray(config.labels.label_gain)[each.grade]
    scores = ranker.score(each.matrix)
    return float(np.nanmean(ndcg_at_k(rank_rows(rows.slates.rows.offsets, scores, gain))))


def told(scorer: FittedScorer, rows: RankingRows) -> float:
    assert scorer.calibration is not None
    each = rows.for_ranker(with_text=False)
    scores = scorer.ranker.score(each.matrix)
    return float(scorer.calibration.probability(scores, each.matrix, each.sizes).mean())


def test_probabilities_are_the_rates_of_later_rows(
    periods: tuple[RankingRows, RankingRows], config: WorkspaceConfig, plain: FittedScorer
) -> None:
    """Nine of ten negatives of the validation leave, so that its rate is not the ranker's."""
    ranker, validation = periods
    positive = validation.slates.grade > 0
    kept = positive | (np.arange(len(positive)) % 10 == 0)
    richer = validation.only(kept)
    rate = float((richer.slates.grade > 0).mean())
    assert rate > 2 * (ranker.slates.grade > 0).mean()
    assert told(fit_scorer(config, ranker, richer, NO_TEXT, seed=0), richer) == pytest.approx(
        rate, rel=0.01
    )
    assert told(plain, validation) == pytest.approx(float(positive.mean()), rel=0.01)


def test_later_rows_say_how_many_trees_there_are(
    periods: tuple[RankingRows, RankingRows], config: WorkspaceConfig, plain: FittedScorer
) -> None:
    """Where later rows want the opposite of what is learned, every tree makes it worse."""
    ranker, validation = periods
    rows = validation.for_ranker(with_text=False)
    scores, offsets = plain.ranker.score(rows.matrix), validation.slates.rows.offsets
    worst = np.zeros(len(scores), np.uint8)
    worst[[low + np.argmin(scores[low:high]) for low, high in pairwise(offsets)]] = 1
    opposite = fit_scorer(config, ranker, graded(validation, worst), NO_TEXT, seed=0)
    own = fit_scorer(config, ranker, ranker, NO_TEXT, seed=0).ranker.booster.num_trees()
    assert opposite.ranker.booster.num_trees() < own / 2
    assert opposite.validation_ndcg < plain.validation_ndcg


def test_the_bundle_tells_of_rows_later_than_all_the_ranker_learned_from(
    periods: tuple[RankingRows, RankingRows], config: WorkspaceConfig, tiny_bundle: Bundle
) -> None:
    ranker, validation = periods
    assert ranker.slates.rows.request_time.max() < validation.slates.rows.request_time.min()
    for part, scorer in ((FULL, tiny_bundle.full), (NO_TEXT, tiny_bundle.no_text)):
        with_text = part == FULL
        later = ndcg(validation, scorer.ranker, config, with_text=with_text)
        own = ndcg(ranker, scorer.ranker, config, with_text=with_text)
        assert abs(later - own) > 1e-3
        assert tiny_bundle.manifest.metrics[part] == pytest.approx(later, abs=1e-9)
        assert scorer.calibration is not None
        rows = validation.for_ranker(with_text=with_text)
        told = scorer.calibration.probability(
            scorer.ranker.score(rows.matrix), rows.matrix, rows.sizes
        )
        assert told.mean() == pytest.approx((rows.grade > 0).mean(), rel=0.01)


def test_no_probability_is_fitted_to_sampled_slates(
    periods: tuple[RankingRows, RankingRows], config: WorkspaceConfig, plain: FittedScorer
) -> None:
    sampled = config.model_copy(update={"slate_source": "sampled"})
    columns = config.features.model_copy(update={"columns": features_of(config).features})
    sampled = sampled.model_copy(update={"features": columns})
    assert fit_scorer(sampled, *periods, NO_TEXT, seed=0).calibration is None
    assert plain.calibration is not None
