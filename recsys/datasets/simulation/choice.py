"""Choice model: utility of an item to a user, and the probabilities of click, cart and purchase."""

from dataclasses import dataclass

import numpy as np

from recsys.datasets.simulation.state import ShopState, contains, pair_keys
from recsys.datasets.simulation.visits import Visits
from recsys.datasets.simulation.world.catalogue import DAY_US, SimulatedCatalogue
from recsys.datasets.simulation.world.users import SimulatedUsers

# In log odds of a click on an item that is looked at.
_BASE = -3.45
_FAVOURITE_BRAND = 0.5
_SEEN_BEFORE = 0.4
_OWNED = -1.5
_USED_UP = 1.6
_SEARCHED_FAMILY, _SEARCHED_STYLE, _SEARCHED_OCCASION = 1.2, 1.0, 0.8
_NEW_DAYS = 7

_EXAMINATION_POWER = 0.4


@dataclass(frozen=True)
class ChoiceProbabilities:
    """Utilities and probabilities of shown items; float64 [n_requests, slate_size].

    The fields are columns of `TruthImpressions`.

    Attributes:
        utility: Log odds of a click on an item that is looked at.
        examination: Probability that the position is looked at.
        p_click: Probability of a click.
        p_cart: Probability of a cart after a click.
        p_purchase: Probability of a purchase after a cart.
    """

    utility: np.ndarray
    examination: np.ndarray
    p_click: np.ndarray
    p_cart: np.ndarray
    p_purchase: np.ndarray


def examination(slate_size: int) -> np.ndarray:
    """Give the probability that each position is looked at, position^-0.4; float64.

    The power-law form is that of Joachims, Swaminathan, Schnabel: Unbiased Learning-to-Rank with
    Biased Feedback, WSDM 2017.
    """
    return np.arange(1, slate_size + 1) ** -_EXAMINATION_POWER


def choice_probabilities(
    catalogue: SimulatedCatalogue,
    users: SimulatedUsers,
    state: ShopState,
    visits: Visits,
    slate: np.ndarray,
) -> ChoiceProbabilities:
    """Compute how likely each shown item is clicked, put into the cart and bought.

    The probabilities are aligned with `slate`, int [n_requests, slate_size], the items shown to
    `visits`; the state is that before the day.
    """
    user = visits.user[:, None]
    off_price = np.abs(catalogue.price_ratio[slate] - users.price_level[user])
    price = users.price_sensitivity[user] * (0.35 - off_price)
    looks = users.styles[user, catalogue.style[slate]]
    occasion, brand = catalogue.occasion[slate], catalogue.brand[slate][..., None]
    age = visits.time_us[:, None] - catalogue.listed_us[slate]
    utility = (
        _BASE
        + users.families[user, catalogue.family[slate]]
        + looks
        + np.where(occasion >= 0, users.occasions[user, np.maximum(occasion, 0)], 0.0)
        + price
        + catalogue.quality[slate]
        + _FAVOURITE_BRAND * (users.brands[user] == brand).any(axis=-1)
        + users.novelty[user] * (age < _NEW_DAYS * DAY_US)
        + _history(catalogue, state, user, slate)
        + _search(catalogue, visits, slate)
    )
    seen = np.broadcast_to(examination(slate.shape[1]), slate.shape)
    return ChoiceProbabilities(
        utility=utility,
        examination=seen,
        p_click=seen * _sigmoid(utility),
        p_cart=_sigmoid(-1.3 + 0.4 * looks + 1.0 * price),
        p_purchase=_sigmoid(-0.5 + 0.8 * catalogue.quality[slate] + 1.5 * price),
    )


def _history(
    catalogue: SimulatedCatalogue, state: ShopState, user: np.ndarray, slate: np.ndarray
) -> np.ndarray:
    keys = pair_keys(user, slate)
    owned = contains(state.bought.keys, keys)
    seen = contains(state.clicked.keys, keys) & ~owned
    return _SEEN_BEFORE * seen + owned * np.where(catalogue.consumable[slate], _USED_UP, _OWNED)


def _search(catalogue: SimulatedCatalogue, visits: Visits, slate: np.ndarray) -> np.ndarray:
    family, style, occasion = (visits.query[:, i : i + 1] for i in range(3))
    return (
        _SEARCHED_FAMILY * (catalogue.family[slate] == family)
        + _SEARCHED_STYLE * (catalogue.style[slate] == style)
        + _SEARCHED_OCCASION * ((catalogue.occasion[slate] == occasion) & (occasion >= 0))
    )


def _sigmoid(log_odds: np.ndarray) -> np.ndarray:
    result: np.ndarray = 1 / (1 + np.exp(-log_odds))
    return result
