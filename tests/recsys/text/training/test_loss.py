"""The loss against its formula written out pair by pair."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.text.head import InterestModel
from recsys.text.settings import TextSettings
from recsys.text.training.loss import SlateBatch, UserBatch, own_scores, shared_scores, slate_loss
from tests.recsys.text.test_head import DIM, KINDS, random_model

SLATES, CANDIDATES, PAST, ITEMS = 3, 5, 4, 9
PURCHASE, CLICK = 3.0, 1.0


def random_batch(seed: int) -> SlateBatch:
    """Slates with clicks, purchases, padding, and items that are in several of them."""
    random = np.random.default_rng(seed)

    def unit(*shape: int) -> torch.Tensor:
        return torch.nn.functional.normalize(
            torch.from_numpy(random.normal(size=(*shape, DIM)).astype(np.float32)), dim=-1
        )

    valid = random.random((SLATES, CANDIDATES)) < 0.8
    valid[:, :2] = True
    gain = np.where(valid, random.choice([0, CLICK, PURCHASE], valid.shape), 0)
    gain[:, 0], gain[:, 1] = PURCHASE, 0
    item = np.stack([random.permutation(ITEMS)[:CANDIDATES] for _ in range(SLATES)])
    return SlateBatch(
        unit(SLATES, CANDIDATES),
        torch.from_numpy(item),
        torch.from_numpy(gain.astype(np.float32)),
        torch.from_numpy(valid),
        torch.from_numpy(-3 * random.random(ITEMS)[item].astype(np.float32)),
        unit(SLATES, PAST),
        torch.from_numpy(random.integers(-1, ITEMS, (SLATES, PAST))),
        torch.from_numpy(random.integers(0, KINDS, (SLATES, PAST))),
        torch.ones(SLATES, PAST),
        torch.zeros(SLATES, DIM),
    )


def scores(model: InterestModel, batch: SlateBatch) -> tuple[np.ndarray, np.ndarray]:
    """Every user's scores of its own candidates, [b, m], and of all candidates, [b, b m]."""
    past = model.tower(model.past, batch.past)
    logits = model.attention(past, batch.kind, batch.age)
    user = UserBatch(past, logits, batch.past_item, batch.query)
    z = model.tower(model.item, batch.candidates)
    with torch.no_grad():
        own = own_scores(model, user, z, batch.item).double().numpy()
        every = shared_scores(model, user, z.flatten(0, 1), batch.item.ravel()).double().numpy()
    return own, every


def written_out(model: InterestModel, batch: SlateBatch, text: TextSettings) -> float:
    own, every = scores(model, batch)
    gain, valid = batch.gain.numpy(), batch.valid.numpy()
    item = batch.item.numpy()
    off = text.popularity_correction * batch.popularity.numpy().astype(np.float64)
    total = 0.0
    for slate in range(SLATES):
        taken = {item[slate, at] for at in range(CANDIDATES) if gain[slate, at] > 0}
        for at in range(CANDIDATES):
            if gain[slate, at] == 0:
                continue
            weight = gain[slate, at] / gain[slate].sum()
            inside = math.exp(own[slate, at])
            for other in range(CANDIDATES):
                lower = gain[slate, other] < gain[slate, at]
                if not text.grades_compete:
                    lower = gain[slate, other] == 0
                if valid[slate, other] and lower:
                    inside += math.exp(own[slate, other])
            total += weight * (math.log(inside) - own[slate, at])
            mine = own[slate, at] - off[slate, at]
            outside = math.exp(mine)
            for place in range(SLATES * CANDIDATES):
                theirs, row = divmod(place, CANDIDATES)
                if gain[theirs, row] > 0 and item[theirs, row] not in taken:
                    outside += math.exp(every[slate, place] - off[theirs, row])
            total += text.across * weight * (math.log(outside) - mine)
    return total / SLATES


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10_000), st.booleans(), st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0, 1])
)
def test_it_is_the_formula(seed: int, compete: bool, correction: float, across: float) -> None:
    text = TextSettings(grades_compete=compete, popularity_correction=correction, across=across)
    model, batch = random_model(seed), random_batch(seed)
    found = slate_loss(model, batch, text).item()
    assert found == pytest.approx(written_out(model, batch, text), abs=1e-3, rel=1e-4)


def loss(batch: SlateBatch, text: TextSettings) -> float:
    return slate_loss(random_model(1), batch, text).item()


def with_gain(batch: SlateBatch, gain: list[list[float]]) -> SlateBatch:
    values = {
        **vars(batch),
        "gain": torch.tensor(gain),
        "valid": torch.ones(SLATES, CANDIDATES) > 0,
    }
    return SlateBatch(**values)


def test_grades_compete_only_where_there_are_several() -> None:
    compete = TextSettings(across=0)
    apart = TextSettings(across=0, grades_compete=False)
    one = with_gain(random_batch(1), [[CLICK, 0, 0, CLICK, 0]] * SLATES)
    assert loss(one, compete) == loss(one, apart)
    two = with_gain(random_batch(1), [[PURCHASE, 0, 0, CLICK, 0]] * SLATES)
    assert loss(two, compete) > loss(two, apart)


def test_popularity_counts_by_its_differences_and_only_across_slates() -> None:
    corrected, plain = TextSettings(popularity_correction=1), TextSettings()
    batch = random_batch(2)
    even = SlateBatch(**{**vars(batch), "popularity": torch.full((SLATES, CANDIDATES), -2.0)})
    assert loss(even, corrected) == pytest.approx(loss(even, plain), rel=1e-5)
    assert loss(batch, corrected) != pytest.approx(loss(batch, plain), rel=1e-3)
    inside = {"across": 0}
    assert loss(batch, corrected.model_copy(update=inside)) == loss(
        batch, plain.model_copy(update=inside)
    )


def test_with_the_correction_a_popular_items_score_is_pulled_up() -> None:
    model, batch = random_model(3), random_batch(3)
    popular = SlateBatch(**{**vars(batch), "popularity": torch.full((SLATES, CANDIDATES), -5.0)})
    popular.popularity[0, 0] = -0.5
    pull = {}
    for correction in (0.0, 1.0):
        candidates = batch.candidates.clone().requires_grad_()
        text = TextSettings(popularity_correction=correction)
        seen = SlateBatch(**{**vars(popular), "candidates": candidates})
        own = slate_loss(model, seen, text, slice(0, 1))
        (gradient,) = torch.autograd.grad(own, candidates)
        pull[correction] = gradient[0, 0].norm().item()
    assert pull[1.0] > pull[0.0]
