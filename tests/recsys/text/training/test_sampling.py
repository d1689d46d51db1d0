from dataclasses import replace

import numpy as np
import pytest

from features.arrays.key_index import MISSING
from features.log.history import History
from features.log.requests import Rows
from recsys.labels.slates import LabelledSlates
from recsys.text.settings import TextSettings
from recsys.text.training.sampling import Sampler
from tests.worlds import NOON

REQUESTS, OFTEN, SELDOM, OTHERS = 60, 0, 1, 4
TAKEN_OFTEN, TAKEN_SELDOM = 29, 4


def world() -> LabelledSlates:
    """Slates of one positive and the rest; two items are taken often and seldom."""
    slate = OTHERS + 3
    item = np.tile(np.arange(slate), (REQUESTS, 1))
    grade = np.zeros_like(item)
    grade[:TAKEN_OFTEN, OFTEN] = 1
    grade[TAKEN_OFTEN : TAKEN_OFTEN + TAKEN_SELDOM, SELDOM] = 1
    grade[TAKEN_OFTEN + TAKEN_SELDOM :, slate - 1] = 1
    time = NOON + np.arange(REQUESTS)
    return LabelledSlates(
        Rows(
            time,
            np.arange(REQUESTS, dtype=np.int32),
            np.arange(REQUESTS + 1) * slate,
            item.ravel().astype(np.int32),
        ),
        item.ravel().astype(np.int32),
        grade.ravel().astype(np.uint8),
        np.ones(item.size),
        History(
            np.zeros(REQUESTS + 1, np.int64),
            np.zeros(0, np.int32),
            np.zeros(0, np.int16),
            np.zeros(0, np.int64),
        ),
        np.zeros(0, np.int32),
        np.full(REQUESTS, MISSING, np.int32),
        int(time[-1]),
    )


def drawn_negatives(power: float, negatives: int = 1) -> np.ndarray:
    """How often each item is drawn as a negative of slates in which all but the last could be."""
    settings = TextSettings(
        batch_slates=20, positives=1, negatives=negatives, negative_popularity=power
    )
    slates = world()
    sampler = Sampler(slates, (0.0, 1.0), settings, seed=0)
    counts = np.zeros(OTHERS + 3)
    for number in range(400):
        draw = sampler.draw(number)
        last = (draw.item == OTHERS + 2) & (draw.gain > 0)
        for row in np.flatnonzero(last.any(axis=1)):
            chosen = draw.item[row][draw.valid[row] & (draw.gain[row] == 0)]
            counts += np.bincount(chosen, minlength=OTHERS + 3)
    return counts


def test_negatives_are_drawn_evenly_or_by_how_often_they_are_taken() -> None:
    even = drawn_negatives(0.0)
    assert even[OFTEN] / even[SELDOM] == pytest.approx(1, abs=0.15)
    matched = drawn_negatives(1.0)
    expected = (1 + TAKEN_OFTEN) / (1 + TAKEN_SELDOM)
    assert matched[OFTEN] / matched[SELDOM] == pytest.approx(expected, rel=0.2)
    assert matched[SELDOM] / matched[2 : 2 + OTHERS].mean() == pytest.approx(
        1 + TAKEN_SELDOM, rel=0.2
    )
    half = drawn_negatives(0.5)
    assert half[OFTEN] / half[SELDOM] == pytest.approx(expected**0.5, rel=0.2)


def test_no_negative_is_drawn_twice_in_a_slate() -> None:
    counts = drawn_negatives(1.0, negatives=OTHERS + 2)
    assert len(set(counts[: OTHERS + 2])) == 1
    assert counts[OTHERS + 2] == 0


SETTINGS = TextSettings(batch_slates=20, positives=1, negatives=1)


def weighted(weight: np.ndarray) -> Sampler:
    slates = world()
    row_weight = np.repeat(weight, OTHERS + 3).astype(np.float64)
    return Sampler(replace(slates, weight=row_weight), (0.0, 1.0), SETTINGS, seed=0)


def test_slates_are_drawn_as_often_as_their_weight_says() -> None:
    weight = np.where(np.arange(REQUESTS) < TAKEN_OFTEN, 1, 3)
    sampler = weighted(weight)
    often = np.mean(
        [((d.item == OFTEN) & (d.gain > 0)).any(axis=1) for d in map(sampler.draw, range(400))]
    )
    assert often == pytest.approx(TAKEN_OFTEN / weight.sum(), abs=0.02)
    taken = {OFTEN: 1 + TAKEN_OFTEN, SELDOM: 1 + 3 * TAKEN_SELDOM}
    expected = np.log(taken[OFTEN] / taken[SELDOM])
    assert sampler.popularity[OFTEN] - sampler.popularity[SELDOM] == pytest.approx(expected)


def test_slates_of_one_weight_are_drawn_as_those_without() -> None:
    plain = Sampler(world(), (0.0, 1.0), SETTINGS, seed=0)
    heavy = weighted(np.full(REQUESTS, 3))
    for number in range(3):
        one, other = plain.draw(number), heavy.draw(number)
        for name in ("item", "gain", "valid", "past_item", "query"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
