import numpy as np
import pytest

from benchmarks.ranker.calibration import group_error


def test_the_error_is_that_of_groups_and_not_of_single_requests() -> None:
    told = np.array([0.1, 0.1, 0.3, 0.3])
    rate = np.array([0.0, 0.2, 0.2, 0.6])
    expected = (abs(0.1 - (0.0 + 0.2) / 2) + abs(0.3 - (0.2 + 0.6) / 2)) / 2
    assert group_error(told, told, rate, groups=2) == pytest.approx(expected)


def test_one_rate_told_to_all_is_wrong_where_requests_differ() -> None:
    rate = np.array([0.0, 0.2])
    told = np.full(2, 0.1)
    assert group_error(rate, told, rate, groups=1) == pytest.approx(0)
    assert group_error(rate, told, rate, groups=2) == pytest.approx(0.1)
