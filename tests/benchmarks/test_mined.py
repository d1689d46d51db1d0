import numpy as np
import pytest
from mined import MinedSampler, neighbours

from recsys.text.sampling import Sampler
from recsys.text.settings import TextSettings
from tests.worlds import Taste, planted_taste

GAINS = (0.0, 1.0)
SETTINGS = TextSettings(batch_slates=16, positives=3, negatives=6)


@pytest.fixture(scope="module")
def taste() -> Taste:
    return planted_taste(200)


def test_neighbours_are_those_of_a_plain_search() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(50, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[7] = np.nan
    offered = random.random(50) < 0.6
    found = neighbours(vectors, offered, 5)
    assert (found[7] == -1).all()
    for item in (0, 20, 49):
        others = [j for j in np.flatnonzero(offered) if j not in (item, 7)]
        nearest = sorted(others, key=lambda j: -float(vectors[item] @ vectors[j]))[:5]
        assert set(found[item]) == set(nearest)


def test_where_there_are_few_neighbours_the_rest_is_missing() -> None:
    vectors = np.eye(4, dtype=np.float32)
    found = neighbours(vectors, np.array([True, True, False, False]), 3)
    assert sorted(found[0]) == [-1, -1, 1]
    assert sorted(found[3]) == [-1, 0, 1]


def test_mined_negatives_are_near_a_positive_and_were_not_taken(taste: Taste) -> None:
    vectors = taste.vectors.items
    known = ~np.isnan(vectors[:, 0])
    plain = Sampler(taste.slates, known, GAINS, SETTINGS, 0)
    mined = MinedSampler(taste.slates, vectors, GAINS, SETTINGS, 0, 0.5, 4)
    replaced = negatives = 0
    for number in range(5):
        before, after = plain.draw(number), mined.draw(number)
        changed = before.item != after.item
        assert (before.gain[changed] == 0).all()
        np.testing.assert_array_equal(before.gain, after.gain)
        for slate, place in zip(*np.nonzero(changed), strict=True):
            positives = before.item[slate][before.gain[slate] > 0]
            assert after.item[slate, place] in mined.near[positives]
            assert after.item[slate, place] not in positives
        replaced += int(changed.sum())
        negatives += int((before.valid & (before.gain == 0)).sum())
    assert 0.25 * negatives < replaced < 0.55 * negatives


def test_without_a_share_draws_are_the_products(taste: Taste) -> None:
    vectors = taste.vectors.items
    plain = Sampler(taste.slates, ~np.isnan(vectors[:, 0]), GAINS, SETTINGS, 0)
    mined = MinedSampler(taste.slates, vectors, GAINS, SETTINGS, 0, 0.0, 4)
    np.testing.assert_array_equal(plain.draw(3).item, mined.draw(3).item)
