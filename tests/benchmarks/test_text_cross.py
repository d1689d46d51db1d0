import math

import numpy as np
import pytest
import torch
from cross_encoder import reordered, short_lists, slate_softmax

from tests.worlds import Taste, planted_taste

COUNT, SLATE = 6, 10


@pytest.fixture(scope="module")
def taste() -> Taste:
    return planted_taste(30)


@pytest.fixture(scope="module")
def match(taste: Taste) -> np.ndarray:
    return np.random.default_rng(0).normal(size=len(taste.slates.rows)).astype(np.float32)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [f"item {place}" for place in range(300)]


def test_the_first_candidates_are_those_the_match_likes_best(
    taste: Taste, match: np.ndarray, texts: list[str]
) -> None:
    short = short_lists(taste.slates, match, texts, COUNT, 2, with_positives=False)
    for request, rows in enumerate(short.chosen):
        low, high = taste.slates.rows.offsets[request : request + 2]
        expected = sorted(range(low, high), key=lambda row: -match[row])[:COUNT]
        assert rows.tolist() == expected
        past = taste.slates.history.item[request, :2]
        assert short.histories[request] == f"item {past[0]}; item {past[1]}"


def test_a_third_of_a_lesson_are_positives_at_the_most(
    taste: Taste, match: np.ndarray, texts: list[str]
) -> None:
    short = short_lists(taste.slates, match, texts, COUNT, 2, with_positives=True)
    positives = np.array([(taste.slates.grade[rows] > 0).sum() for rows in short.chosen])
    assert positives.max() == COUNT // 3
    assert all(len(set(rows)) == len(rows) <= COUNT for rows in short.chosen)


def test_a_new_order_of_the_first_leaves_the_rest_behind_them_as_they_were(
    taste: Taste, match: np.ndarray, texts: list[str]
) -> None:
    short = short_lists(taste.slates, match, texts, COUNT, 2, with_positives=False)
    score = np.full(len(match), np.nan, np.float32)
    for rows in short.chosen:
        score[rows] = np.arange(COUNT)
    found = reordered(match, score)
    for request, rows in enumerate(short.chosen):
        low = int(taste.slates.rows.offsets[request])
        order = low + np.argsort(-found[low : low + SLATE], kind="stable")
        assert order[:COUNT].tolist() == rows[::-1].tolist()
        rest = [row for row in range(low, low + SLATE) if row not in set(rows)]
        assert order[COUNT:].tolist() == sorted(rest, key=lambda row: -match[row])


def test_the_loss_is_each_positive_against_what_was_not_taken() -> None:
    score = torch.tensor([1.0, 0.5, -1.0, 2.0])
    found = slate_softmax(score, torch.tensor([1.0, 0.0, 0.0, 1.0])).item()
    rest = math.exp(0.5) + math.exp(-1.0)
    each = [-math.log(math.exp(s) / (math.exp(s) + rest)) for s in (1.0, 2.0)]
    assert found == pytest.approx(sum(each) / 2)
