from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_contracts.errors import BundleError
from recsys.metrics.ranking import ndcg_at_k, rank_rows
from recsys.ranker.ranker import TEXT_COLUMNS, Ranker, RankerRows, fit_ranker, text_columns
from recsys.ranker.settings import RankerSettings

GAIN = (0.0, 1.0, 3.0)
NAMES = ("good", "noise", "often_missing")
SETTINGS = RankerSettings(num_iterations=30, min_data_in_leaf=5, num_leaves=7, learning_rate=0.2)
SIZE, REQUESTS = 8, 120


def planted(seed: int, requests: int = REQUESTS) -> RankerRows:
    """Rows whose grade is told by the first column, and whose last column is missing half."""
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(requests * SIZE, len(NAMES))).astype(np.float32)
    matrix[random.random(len(matrix)) < 0.5, 2] = np.nan
    grade = np.digitize(matrix[:, 0], (0.5, 1.2)).astype(np.uint8)
    sizes = np.full(requests, SIZE)
    return RankerRows(matrix, grade, sizes, np.tile(np.arange(1, SIZE + 1), requests))


def fit(seed: int = 0, settings: RankerSettings = SETTINGS) -> Ranker:
    return fit_ranker(planted(1), planted(2), NAMES, GAIN, settings, seed)


@pytest.fixture(scope="module")
def ranker() -> Ranker:
    return fit()


@pytest.fixture(scope="module")
def fresh() -> RankerRows:
    return planted(3)


def ndcg(scores: np.ndarray, rows: RankerRows) -> float:
    offsets = np.append(0, np.cumsum(rows.sizes))
    ranked = rank_rows(offsets, scores, np.asarray(GAIN)[rows.grade])
    return float(np.nanmean(ndcg_at_k(ranked)))


def test_a_planted_order_is_learned(ranker: Ranker, fresh: RankerRows) -> None:
    random = np.random.default_rng(0).random(len(fresh.matrix))
    assert ndcg(ranker.score(fresh.matrix), fresh) > 0.97
    assert ndcg(random, fresh) < 0.8


def test_scores_are_finite_aligned_and_of_each_row_alone(ranker: Ranker, fresh: RankerRows) -> None:
    scores = ranker.score(fresh.matrix)
    order = np.random.default_rng(0).permutation(len(scores))
    assert scores.shape == (len(fresh.matrix),)
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(ranker.score(fresh.matrix[order]), scores[order])
    np.testing.assert_array_equal(ranker.score(fresh.matrix[:1]), scores[:1])
    assert np.isfinite(ranker.score(np.full((2, len(NAMES)), np.nan, np.float32))).all()


def test_contributions_sum_to_the_score(ranker: Ranker, fresh: RankerRows) -> None:
    shares = ranker.contributions(fresh.matrix)
    assert shares.shape == (len(fresh.matrix), len(NAMES) + 1)
    np.testing.assert_allclose(shares.sum(axis=1), ranker.score(fresh.matrix), atol=1e-9)
    strength = np.abs(shares[:, :-1]).mean(axis=0)
    assert strength[0] > 10 * strength[1:].max()


def test_what_was_saved_scores_the_same(ranker: Ranker, fresh: RankerRows, tmp_path: Path) -> None:
    ranker.save(tmp_path / "ranker.txt")
    again = Ranker.load(tmp_path / "ranker.txt")
    assert again.names == NAMES
    np.testing.assert_array_equal(again.score(fresh.matrix), ranker.score(fresh.matrix))


def test_the_same_seed_gives_the_same_trees(ranker: Ranker) -> None:
    assert fit().booster.model_to_string() == ranker.booster.model_to_string()
    assert fit(seed=1).booster.model_to_string() != ranker.booster.model_to_string()


def test_training_stops_when_validation_no_longer_gains() -> None:
    noise = planted(1)
    noise.matrix[:] = np.random.default_rng(9).normal(size=noise.matrix.shape)
    settings = SETTINGS.model_copy(update={"num_iterations": 200, "early_stopping_round": 3})
    stopped = fit_ranker(noise, planted(2), NAMES, GAIN, settings)
    assert stopped.booster.num_trees() < 100


def test_position_bias_is_told_apart_from_merit() -> None:
    """Top places are clicked whatever stands there; then merit must count more than place."""
    random = np.random.default_rng(0)
    requests = 400
    position = np.tile(np.arange(1, SIZE + 1), requests)
    merit = random.normal(size=requests * SIZE)
    seen = random.random(len(merit)) < 1 / position
    grade = (seen & (merit > 0)).astype(np.uint8)
    matrix = np.stack([merit, -position + 0.1 * random.normal(size=len(merit))], axis=1)
    rows = RankerRows(matrix.astype(np.float32), grade, np.full(requests, SIZE), position)

    def weight_of_place(*, debiased: bool) -> float:
        settings = SETTINGS.model_copy(update={"position_bias": debiased})
        fitted = fit_ranker(rows, rows, ("merit", "place"), (0, 1), settings)
        merit_share, place_share = np.abs(fitted.contributions(rows.matrix)[:, :2]).mean(axis=0)
        return float(place_share / merit_share)

    assert weight_of_place(debiased=True) < 0.9 * weight_of_place(debiased=False)


def with_copies(rows: RankerRows) -> RankerRows:
    """Write each request as often as its weight says."""
    assert rows.weight is not None
    times = rows.weight[::SIZE].astype(np.int64)
    copy = np.repeat(np.arange(len(times)), times)
    at = (copy[:, None] * SIZE + np.arange(SIZE)).ravel()
    return RankerRows(rows.matrix[at], rows.grade[at], rows.sizes[copy], rows.position[at])


def heavy(rows: RankerRows, times: np.ndarray) -> RankerRows:
    return replace(rows, weight=np.repeat(times, SIZE).astype(np.float64))


@pytest.mark.parametrize("position_bias", [False, True])
def test_a_weight_pulls_as_copies_of_the_request_do(position_bias: bool) -> None:
    """One tree: ties of the validation, which say how many are kept, are broken by the row."""
    settings = SETTINGS.model_copy(
        update={
            "num_iterations": 1,
            "num_leaves": 15,
            "min_data_in_leaf": 1,
            "bagging_fraction": 1.0,
            "feature_fraction": 1.0,
            "position_bias": position_bias,
        }
    )
    random, rows = np.random.default_rng(1), planted(1)
    noisy = rows.matrix[:, 0] + random.normal(size=len(rows.matrix))
    rows = replace(
        rows,
        matrix=rows.matrix.round().clip(-2, 2),
        grade=np.digitize(noisy, (0.5, 1.2)).astype(np.uint8),
    )
    weighted = heavy(rows, random.integers(1, 5, REQUESTS))
    found, copies, plain = (
        fit_ranker(train, planted(2), NAMES, GAIN, settings).score(rows.matrix)
        for train in (weighted, with_copies(weighted), rows)
    )
    np.testing.assert_allclose(found, copies, rtol=1e-5)
    assert np.abs(found - plain).max() > 1e-3


def test_the_heavier_requests_of_the_validation_say_when_to_stop() -> None:
    rows, half = planted(2), REQUESTS // 2
    settings = SETTINGS.model_copy(update={"num_leaves": 3, "learning_rate": 0.05})
    opposite = np.where(np.arange(len(rows.grade)) < half * SIZE, rows.grade, 2 - rows.grade)
    rows = replace(rows, grade=opposite.astype(np.uint8))
    learned, reversed_ = (
        fit_ranker(planted(1), heavy(rows, times), NAMES, GAIN, settings).booster.num_trees()
        for times in np.array([[100, 1], [1, 100]]).repeat(half, axis=1)
    )
    assert reversed_ < learned / 2


@pytest.mark.parametrize("content", ["", "no model\n"])
def test_a_file_that_is_no_model_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "ranker.txt").write_text(content)
    with pytest.raises(BundleError, match="a LightGBM model"):
        Ranker.load(tmp_path / "ranker.txt")


def test_text_columns_are_the_match_and_its_percentile_in_the_slate() -> None:
    match = np.array([0.5, np.nan, 0.9, 0.1, 0.1], np.float32)
    request = np.array([0, 0, 0, 1, 1])
    columns = text_columns(match, request)
    assert columns.shape == (5, len(TEXT_COLUMNS))
    assert columns.dtype == np.float32
    np.testing.assert_array_equal(columns[:, 0], match)
    assert np.isnan(columns[1]).all()
    place = columns[:, TEXT_COLUMNS.index("slate_percentile_interest_match")]
    assert place[2] != place[0]
    assert place[3] == place[4]


def test_lightgbm_takes_every_setting_by_its_own_name() -> None:
    settings = SETTINGS.model_copy(
        update={"feature_fraction": 0.5, "bagging_fraction": 0.25, "lambda_l2": 0.125}
    )
    taken = dict(
        line.strip("[]").split(": ", 1)
        for line in fit(settings=settings).booster.model_to_string().splitlines()
        if line.startswith("[") and ": " in line
    )
    ours = settings.model_dump(exclude={"position_bias", "num_iterations", "early_stopping_round"})
    assert {name: float(taken[name]) for name in ours} == ours
    assert taken["objective"] == "lambdarank"


@pytest.mark.parametrize(
    "name",
    [
        "item_brand name_click_30d",
        "item_attr:brand_code",
        '{"a": [1, 2]}',
        "50% off",
        "%20",
        "\u0431\u0440\u0435\u043d\u0434",
        "c" * 1000,
    ],
)
def test_a_column_of_any_name_is_read_again(name: str, tmp_path: Path) -> None:
    names = ("good", name, "%" + name)
    settings = SETTINGS.model_copy(update={"num_iterations": 1})
    ranker = fit_ranker(planted(1), planted(2), names, GAIN, settings, codes=(name,))
    ranker.save(tmp_path / "full.txt")
    again = Ranker.load(tmp_path / "full.txt")
    assert again.names == names
    matrix = planted(3).matrix
    np.testing.assert_array_equal(again.score(matrix), ranker.score(matrix))
