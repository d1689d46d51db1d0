import numpy as np
import pytest
import torch
from profiles import PRODUCT, PROFILES, match_ndcg, profile_match, train_profile

from recsys.text.head import InterestModel, table_of
from recsys.text.loss import Users, own_scores
from recsys.text.matching import match_rows
from recsys.text.sampling import Sampler
from recsys.text.settings import TextSettings
from tests.worlds import Taste, planted_taste

GAINS = (0.0, 1.0)
DIM = 16
SETTINGS = TextSettings(
    steps=60, batch_slates=32, positives=3, negatives=8, learning_rate=1e-2, dropout=0
)


@pytest.fixture(scope="module")
def taste() -> Taste:
    return planted_taste(500, dim=DIM)


def far_from_the_beginning(name: str) -> InterestModel:
    torch.manual_seed(3)
    model = PROFILES[name](DIM, 1, 0.0, None)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model.eval()


def test_the_products_profile_scores_as_the_product_does(taste: Taste) -> None:
    model, slates = far_from_the_beginning(PRODUCT), taste.slates.cut(0, 70)
    expected = match_rows(table_of(model, taste.vectors.items), slates, taste.vectors.queries)
    found = profile_match(model, slates, taste.vectors)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("name", [name for name in PROFILES if "two attentions" in name])
def test_a_transformer_begins_as_the_product_does(name: str, taste: Taste) -> None:
    slates = taste.slates.cut(0, 20)
    torch.manual_seed(0)
    first = PROFILES[name](DIM, 1, 0.0, None)
    torch.manual_seed(0)
    product = InterestModel(DIM, 1, 0.0, None)
    first.load_state_dict(product.state_dict(), strict=False)
    np.testing.assert_allclose(
        profile_match(first, slates, taste.vectors),
        profile_match(product, slates, taste.vectors),
        atol=1e-5,
    )


@pytest.mark.parametrize("name", PROFILES)
def test_what_is_not_there_says_nothing(name: str) -> None:
    model = far_from_the_beginning(name)
    random = np.random.default_rng(0)
    vectors = torch.from_numpy(random.normal(size=(6, DIM)).astype(np.float32))
    candidates = torch.nn.functional.normalize(vectors[None, :3], dim=-1)

    def scores(*past: int) -> np.ndarray:
        item = torch.tensor([past])
        kind, age = torch.zeros_like(item), torch.ones(item.shape)
        there = item >= 0
        seen, logits = model.history(vectors[item.clamp(min=0)], kind, age, there)
        user = Users(seen, logits, item, torch.zeros(1, DIM))
        with torch.no_grad():
            return own_scores(model, user, candidates, torch.tensor([[10, 11, 12]]))[0].numpy()

    np.testing.assert_allclose(scores(4, 5, -1, -1), scores(4, 5), atol=1e-5)
    assert np.abs(scores(4, 5) - scores(4, 3)).max() > 1e-3
    guest = candidates[0].numpy() @ model.default.detach().numpy()
    np.testing.assert_allclose(scores(-1, -1), guest, atol=1e-5)


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_learns_the_taste(name: str, taste: Taste) -> None:
    known = ~np.isnan(taste.vectors.items[:, 0])
    sampler = Sampler(taste.slates.cut(0, 350), known, GAINS, SETTINGS, 0)
    fresh = taste.slates.cut(400, 500)
    before = match_ndcg(PROFILES[name](DIM, 1, 0.0, None), fresh, taste.vectors, GAINS)
    held_out = taste.slates.cut(350, 400)
    trained = train_profile(PROFILES[name], sampler, held_out, taste.vectors, 1, GAINS)
    assert match_ndcg(trained.model, fresh, taste.vectors, GAINS) > before + 0.02


def test_the_worth_of_a_kernel_grows_with_near_items() -> None:
    kernel = PROFILES["kernel over the whole history"](DIM, 1, 0.0, None)
    similarity = torch.tensor([[[0.9, 0.9, 0.1]]])
    logits = torch.zeros(1, 1, 3)
    one, two = (
        kernel.pool(similarity, logits, torch.tensor([[mask]])).item()
        for mask in ([True, False, False], [True, True, False])
    )
    nothing = kernel.pool(similarity, logits, torch.zeros(1, 1, 3, dtype=torch.bool)).item()
    assert nothing == 0 < one < two


def test_the_maximum_is_that_of_the_history() -> None:
    maximum = PROFILES["maximum over the history"](DIM, 1, 0.0, None)
    found = maximum.pool(
        torch.tensor([[[0.2, -0.3, 0.9]]]), torch.zeros(1, 1, 3), torch.tensor([[[1, 1, 0]]]) > 0
    )
    assert found.item() == pytest.approx(5 * 0.2)
