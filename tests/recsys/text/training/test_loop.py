from dataclasses import replace

import numpy as np
import pytest
import torch

from data_contracts.errors import DataError
from features.arrays.key_index import MISSING
from recsys.labels.slates import LabelledSlates
from recsys.text.head import InterestModel, table_of
from recsys.text.settings import TextSettings
from recsys.text.signals import TextSignals, match_rows
from recsys.text.training.loop import Run, TextTraining, finetune, fingerprint_of
from recsys.text.training.text_source import FrozenSource
from recsys.text.training.validation import validation_ndcg
from tests.worlds import FailingTrack, InterruptionError, Taste, planted_taste

GAINS = (0.0, 1.0)
SETTINGS = TextSettings(
    steps=120, batch_slates=32, positives=3, negatives=8, learning_rate=1e-2, dropout=0
)


def train(
    slates: LabelledSlates, taste: Taste, seed: int = 0, settings: TextSettings = SETTINGS
) -> TextTraining:
    return finetune(slates, FrozenSource(taste.vectors), GAINS, 1, settings, Run(seed))


@pytest.fixture(scope="module")
def taste() -> Taste:
    return planted_taste(600)


@pytest.fixture(scope="module")
def training(taste: Taste) -> TextTraining:
    return train(taste.slates.cut(0, 500), taste)


def test_the_taste_is_learned_and_holds_on_new_slates(taste: Taste, training: TextTraining) -> None:
    fresh = taste.slates.cut(500, 600)
    zero_shot = InterestModel(taste.vectors.items.shape[1], 1, 0)
    before = validation_ndcg(zero_shot, fresh, taste.vectors, GAINS)
    after = validation_ndcg(training.model, fresh, taste.vectors, GAINS)
    assert after > before + 0.08
    curve = [point.validation_ndcg_at_10 for point in training.curve]
    assert max(curve) > curve[0] + 0.08


def test_a_request_of_weight_two_counts_in_the_validation_as_if_it_came_twice(
    taste: Taste, training: TextTraining
) -> None:
    fresh = taste.slates.cut(500, 600)
    half = fresh.cut(0, 50)
    weight = np.repeat([2.0, 1.0], 50 * 10)

    def ndcg(slates: LabelledSlates) -> float:
        return validation_ndcg(training.model, slates, taste.vectors, GAINS)

    first, last = ndcg(half), ndcg(fresh.cut(50, 100))
    judged = [
        int(((positives > 0) & (positives < 10)).sum())
        for positives in fresh.grade.reshape(2, 50, 10).sum(axis=2)
    ]
    expected = np.average([first, last], weights=[2 * judged[0], judged[1]])
    assert ndcg(replace(fresh, weight=weight)) == pytest.approx(expected)
    assert first != last


def test_weights_belong_to_the_run_and_weights_of_one_do_not(taste: Taste) -> None:
    def name(slates: LabelledSlates) -> str:
        return fingerprint_of(slates, GAINS, SETTINGS, Run())

    ones = np.ones(len(taste.slates.grade))
    assert name(taste.slates) == name(replace(taste.slates, weight=ones))
    assert name(taste.slates) != name(replace(taste.slates, weight=2 * ones))


def test_the_best_step_is_kept(taste: Taste, training: TextTraining) -> None:
    held_out = taste.slates.cut(450, 500)
    kept = validation_ndcg(training.model, held_out, taste.vectors, GAINS)
    best = max(point.validation_ndcg_at_10 for point in training.curve)
    assert kept == pytest.approx(best, abs=1e-6)


def test_the_same_seed_gives_the_same_weights_and_another_one_others(taste: Taste) -> None:
    few = with_steps(10)
    slates = taste.slates.cut(0, 200)
    first, same, other = (train(slates, taste, seed, few).model for seed in (1, 1, 2))
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, same.state_dict()[name]), name
    assert not torch.equal(first.item.weight, other.item.weight)


def with_steps(steps: int) -> TextSettings:
    return SETTINGS.model_copy(update={"steps": steps})


@pytest.mark.parametrize("steps", [1, 2, 9, 10])
def test_any_number_of_steps_trains(taste: Taste, steps: int) -> None:
    training = train(taste.slates.cut(0, 100), taste, settings=with_steps(steps))
    assert [point.step for point in training.curve] == [0, steps]


def test_what_it_knows_of_ends_with_the_labels(taste: Taste, training: TextTraining) -> None:
    assert training.trained_until == taste.slates.labels_end


def test_too_few_slates_are_refused(taste: Taste) -> None:
    with pytest.raises(DataError, match=r"28 slates, .* 28 usable; .*lower batch_slates"):
        train(taste.slates.cut(0, SETTINGS.batch_slates - 1), taste)


def test_slates_without_a_positive_or_without_text_do_not_count(taste: Taste) -> None:
    slates = taste.slates.cut(0, 200)
    for spoilt in (
        replace(slates, grade=np.zeros_like(slates.grade)),
        replace(slates, grade=np.ones_like(slates.grade)),
        replace(slates, text=np.full_like(slates.text, MISSING)),
    ):
        with pytest.raises(DataError, match=r"180 slates, .* 0 usable"):
            train(spoilt, taste)


def test_without_a_positive_to_judge_by_training_is_refused(taste: Taste) -> None:
    slates = taste.slates.cut(0, 200)
    grade = np.where(np.arange(len(slates.grade)) < 1800, slates.grade, 0).astype(np.uint8)
    with pytest.raises(DataError, match="positive"):
        train(replace(slates, grade=grade), taste)


def test_matching_rows_does_not_look_at_the_grades(taste: Taste, training: TextTraining) -> None:
    names = [str(code) for code in range(len(taste.vectors.items))]
    table = table_of(training.model, taste.vectors.items)
    signals = TextSignals.of(table, names, SETTINGS.history)
    blind = replace(taste.slates, grade=1 - taste.slates.grade)
    both = [match_rows(signals, slates, taste.vectors.queries) for slates in (taste.slates, blind)]
    np.testing.assert_array_equal(both[0], both[1])


def test_progress_is_shown_and_an_interruption_passes_through(taste: Taste) -> None:
    track = FailingTrack("Fine-tuning the text model", [])
    with pytest.raises(InterruptionError):
        finetune(taste.slates, FrozenSource(taste.vectors), GAINS, 1, SETTINGS, Run(), track)
