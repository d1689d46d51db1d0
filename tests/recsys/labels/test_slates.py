import numpy as np
import pytest
from numpy.testing import assert_array_equal

from features.log.history import History
from features.log.requests import Rows
from recsys.labels.slates import LabelledSlates


@pytest.fixture
def slates() -> LabelledSlates:
    """Four requests of 2, 1, 3 and 2 candidates; the third's second is not in the catalogue."""
    item = np.array([0, 1, 2, 3, -1, 0, 1, 2], np.int32)
    rows = Rows(
        np.array([10, 20, 30, 40]),
        np.array([0, -1, 1, 0], np.int32),
        np.array([0, 2, 3, 6, 8]),
        item,
    )
    history = History(
        np.array([0, 0, 0, 2, 3]),
        np.array([7, 8, 9], np.int32),
        np.zeros(3, np.int16),
        np.array([1, 2, 3]),
    )
    grade = np.array([1, 0, 0, 2, 0, 0, 0, 1], np.uint8)
    query = np.array([5, -1, 6, -1], np.int32)
    past_text = np.array([17, -1, 19], np.int32)
    weight = np.array([1.0, 1, 3, 2, 2, 5, 0.5, 0.5])
    return LabelledSlates(rows, item + 10, grade, weight, history, past_text, query, 99)


def test_a_run_of_requests_has_their_rows_alone(slates: LabelledSlates) -> None:
    part = slates.cut(1, 3)
    assert len(part) == 2
    assert_array_equal(part.rows.request_time, [20, 30])
    assert_array_equal(part.rows.request_user, [-1, 1])
    assert_array_equal(part.rows.offsets, [0, 1, 1 + 3])
    assert_array_equal(part.rows.item, [2, 3, -1, 0])
    assert_array_equal(part.grade, [0, 2, 0, 0])
    assert_array_equal(part.weight, [3, 2, 2, 5])
    assert_array_equal(part.query, [-1, 6])
    assert_array_equal(part.history.lengths, [0, 2])
    assert_array_equal(part.history.of(1).item, [7, 8])
    assert_array_equal(part.text, [12, 13, 9, 10])
    assert_array_equal(part.texts_before(1), [17, -1])
    assert part.labels_end == 99


def test_kept_rows_stay_with_their_requests_and_an_empty_one_goes(slates: LabelledSlates) -> None:
    kept = np.array([False, True, False, True, False, True, True, True])
    part = slates.only(kept)
    assert_array_equal(part.rows.request_time, [10, 30, 40])
    assert_array_equal(part.rows.request_user, [0, 1, 0])
    assert_array_equal(part.rows.offsets, [0, 1, 1 + 2, 1 + 2 + 2])
    assert_array_equal(part.rows.item, [1, 3, 0, 1, 2])
    assert_array_equal(part.text, [11, 13, 10, 11, 12])
    assert_array_equal(part.past_text, [17, -1, 19])
    assert_array_equal(part.grade, [0, 2, 0, 0, 1])
    assert_array_equal(part.weight, [1, 2, 5, 0.5, 0.5])
    assert_array_equal(part.query, [5, 6, -1])
    assert_array_equal(part.history.lengths, [0, 2, 1])
    assert part.labels_end == 99


def test_the_last_request_may_be_the_one_that_goes(slates: LabelledSlates) -> None:
    part = slates.only(np.arange(8) < 3)
    assert_array_equal(part.rows.request_time, [10, 20])
    assert_array_equal(part.rows.offsets, [0, 2, 3])


def test_rows_of_items_are_told_and_an_unknown_item_is_none_of_them(
    slates: LabelledSlates,
) -> None:
    told = slates.of_items(np.array([True, False, False, True]))
    assert_array_equal(told, [True, False, False, True, False, True, False, False])


def test_a_request_weighs_as_much_as_its_rows_on_average(slates: LabelledSlates) -> None:
    assert_array_equal(slates.request_weight, [1, 3, (2 + 2 + 5) / 3, 0.5])
    assert slates.aggregated
    assert not slates.cut(0, 1).aggregated
