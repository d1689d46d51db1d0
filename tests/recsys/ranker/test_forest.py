import lightgbm as lgb
import numpy as np
import pytest

from recsys.ranker.forest import Forest, rounded_down

ROWS, COLUMNS = 3000, 6


def values(seed: int, rows: int = ROWS) -> np.ndarray:
    """Numbers with many equal ones, noughts, negatives and missing ones; the last are codes."""
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(rows, COLUMNS)).round(1).astype(np.float32)
    matrix[:, 1] = np.abs(matrix[:, 1])
    matrix[:, -1] = random.integers(0, 70, rows)
    matrix[random.random(matrix.shape) < 0.2] = np.nan
    matrix[:, 0] = np.nan_to_num(matrix[:, 0])
    return matrix


def grown(*, leaves: int = 31, codes: bool = False, zero_as_missing: bool = False) -> lgb.Booster:
    """Trees that look at every column."""
    matrix = values(1)
    known = np.nan_to_num(matrix, nan=0.3)
    target = np.sin(3 * known[:, 0]) + known[:, 1] * known[:, 2] + (known[:, -1] % 7 == 2)
    data = lgb.Dataset(matrix, target, categorical_feature=[COLUMNS - 1] if codes else [])
    parameters = {
        "num_leaves": leaves,
        "min_data_in_leaf": 3,
        "cat_smooth": 1,
        "max_cat_to_onehot": 2,
        "zero_as_missing": zero_as_missing,
        "verbosity": -1,
    }
    return lgb.train(parameters, data, num_boost_round=25)


@pytest.mark.parametrize("codes", [False, True])
@pytest.mark.parametrize("leaves", [2, 31, 64])
def test_scores_are_those_of_lightgbm_to_the_bit(leaves: int, codes: bool) -> None:
    booster = grown(leaves=leaves, codes=codes)
    forest = Forest.of(booster)
    assert forest is not None
    fresh = values(2)
    fresh[:5, -1] = [1e6, -3, -0.5, np.inf, 4.5]
    np.testing.assert_array_equal(forest.score(fresh), booster.predict(fresh))
    assert len(np.unique(forest.score(fresh))) > leaves


def test_codes_are_looked_up_and_not_compared() -> None:
    forest = Forest.of(grown(codes=True))
    assert forest is not None
    assert len(forest.codes) > 0
    assert (forest.column[forest.words[:, 1] > forest.words[:, 0]] == COLUMNS - 1).all()


@pytest.mark.parametrize("rows", [0, 1, 255, 256, 257])
def test_slates_of_any_size_are_scored(rows: int) -> None:
    booster = grown()
    forest = Forest.of(booster)
    assert forest is not None
    fresh = values(3)
    whole = forest.score(fresh)
    np.testing.assert_array_equal(forest.score(fresh[:rows]), whole[:rows])


def test_a_matrix_of_another_width_is_refused() -> None:
    forest = Forest.of(grown())
    assert forest is not None
    with pytest.raises(ValueError, match="5 columns for trees over 6"):
        forest.score(values(3)[:, 1:])


def test_a_threshold_between_two_numbers_parts_them() -> None:
    low = np.float32(0.1)
    high = np.nextafter(low, np.float32(1))
    matrix = np.repeat([[low], [high]], 50, axis=0).astype(np.float32)
    data = lgb.Dataset(matrix, np.repeat([0.0, 1.0], 50))
    booster = lgb.train({"min_data_in_leaf": 1, "verbosity": -1}, data, num_boost_round=3)
    forest = Forest.of(booster)
    assert forest is not None
    np.testing.assert_array_equal(forest.score(matrix), booster.predict(matrix))


def test_what_does_not_fit_is_left_to_lightgbm() -> None:
    assert Forest.of(grown(leaves=65)) is None
    assert Forest.of(grown(zero_as_missing=True)) is None


def test_what_is_missing_can_be_all_that_a_split_asks() -> None:
    matrix = np.random.default_rng(0).normal(size=(ROWS, 2)).astype(np.float32)
    matrix[::3, 0] = np.nan
    data = lgb.Dataset(matrix, np.isnan(matrix[:, 0]).astype(float))
    booster = lgb.train({"num_leaves": 4, "verbosity": -1}, data, num_boost_round=3)
    assert "threshold=inf" in booster.model_to_string()
    forest = Forest.of(booster)
    assert forest is not None
    fresh = values(3)[:, 1:3]
    fresh[:2, 0] = [np.inf, -np.inf]
    np.testing.assert_array_equal(forest.score(fresh), booster.predict(fresh))


def test_limits_beyond_float32_part_infinity_from_all_numbers() -> None:
    largest = np.finfo(np.float32).max
    assert rounded_down(1e299) == largest
    assert rounded_down(1e300) == np.inf, "as LightGBM tells of it"
    assert rounded_down(-1e300) == -np.inf
    assert rounded_down(float(largest)) == largest
    assert rounded_down(np.inf) == np.inf
