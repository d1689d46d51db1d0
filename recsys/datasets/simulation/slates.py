"""Logging policies of the shop: the candidates of each request and their order."""

from dataclasses import dataclass

import numpy as np

from recsys.datasets.simulation.state import ShopState, contains, items_of, pair_keys
from recsys.datasets.simulation.visits import Visits
from recsys.datasets.simulation.world.catalogue import DAY_US, SimulatedCatalogue

# Shares of the sources a candidate of a house slate comes from.
_POPULAR, _LIKED, _NEW, _AGAIN, _RANDOM = range(5)
_SOURCE_SHARES = np.array([0.3, 0.32, 0.14, 0.04, 0.2])
_SEARCHED_SHARE = 0.6
_NEW_DAYS = 10
# Candidates drawn per place of a slate, since some are drawn twice.
_OVERSAMPLING = 3


@dataclass(frozen=True)
class CandidatePool:
    """The items that can be shown on a day: those listed, and not deleted, before it began.

    Attributes:
        catalogue: All items.
        items: int [n], the items that can be shown, ascending.
        popularity: float64 [listed], weight of each listed item among the popular; 0 for deleted.
        by_family: int [n], the items sorted by family.
        family_start: int [n_families + 1], where each family begins in `by_family`.
        newest: int, the place in `items` from which they count as new arrivals.
    """

    catalogue: SimulatedCatalogue
    items: np.ndarray
    popularity: np.ndarray
    by_family: np.ndarray
    family_start: np.ndarray
    newest: int


def candidate_pool(
    catalogue: SimulatedCatalogue,
    deleted: np.ndarray,
    state: ShopState,
    opening: int,
    now_us: int,
) -> CandidatePool:
    """Collect the items of the shop as the day begins, at `now_us` microseconds since the epoch.

    The first `opening` items of the catalogue, in any order, were listed before the log; the rest
    follow as they were listed. Those of `deleted` have left.
    """
    later = catalogue.listed_us[opening:]
    listed = opening + int(np.searchsorted(np.maximum.accumulate(later), now_us))
    items = np.setdiff1d(np.arange(listed), deleted)
    family = catalogue.family[items]
    popularity = state.clicks[:listed] + catalogue.fame[:listed]
    popularity[deleted] = 0
    fresh = np.searchsorted(np.maximum.accumulate(later), now_us - _NEW_DAYS * DAY_US)
    return CandidatePool(
        catalogue,
        items,
        popularity,
        items[np.argsort(family, kind="stable")],
        np.searchsorted(np.sort(family), np.arange(family.max() + 2)),
        int(np.searchsorted(items, opening + fresh)),
    )


def fill_slates(
    pool: CandidatePool,
    tastes: np.ndarray,
    clicked: np.ndarray,
    visits: Visits,
    slate_size: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Choose and order the candidates of each request.

    The house policy mixes popular items, families the user likes or searches for, new arrivals,
    items clicked before and random ones, and orders them by popularity and liked family with much
    noise. The uniform policy draws an ordered slate from the pool, every one as likely.

    Args:
        pool: Items that can be shown.
        tastes: float32 [n_users, n_families], log odds; all the policy knows of users.
        clicked: int64, sorted keys of users and the items they clicked before the day.
        visits: The requests.
        slate_size: Candidates per request.
        rng: Source of randomness.

    Returns:
        int [n_requests, slate_size], items in shown order, none twice in a row.
    """
    shape = (len(visits), slate_size * _OVERSAMPLING)
    source = rng.choice(len(_SOURCE_SHARES), size=shape, p=_SOURCE_SHARES)
    cumulative = np.cumsum(pool.popularity)
    popular = np.searchsorted(cumulative, rng.random(shape) * cumulative[-1], side="right")
    n = len(pool.items)
    anything = pool.items[rng.integers(n, size=shape)]
    fresh = pool.items[rng.integers(min(pool.newest, n - 1), n, size=shape)]
    family = _liked_families(tastes[visits.user], shape, rng)
    searched = (visits.query[:, :1] >= 0) & (rng.random(shape) < _SEARCHED_SHARE)
    family = np.where(searched, visits.query[:, :1], family)
    of_family = _of_family(pool, family, anything, rng)
    again = _clicked_before(clicked, visits.user, anything, rng)
    again = np.where(contains(pool.items, again), again, anything)
    drawn = np.choose(source, [popular, of_family, fresh, again, anything])
    drawn = np.where(searched, of_family, drawn)
    slate = _first_distinct(drawn, slate_size, pool.items, rng)
    order_noise = rng.gumbel(size=slate.shape)
    taste = tastes[visits.user[:, None], pool.catalogue.family[slate]]
    score = 0.3 * np.log(pool.popularity[slate]) + 0.3 * taste + order_noise
    order = np.argsort(-score, axis=1)
    for row in np.nonzero(visits.uniform)[0]:
        slate[row] = rng.choice(pool.items, slate_size, replace=False)
        order[row] = np.arange(slate_size)
    return np.take_along_axis(slate, order, axis=1)


def _liked_families(
    tastes: np.ndarray, shape: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Draw families in proportion to exp(taste); int, of the given shape."""
    weights = np.exp(tastes.astype(np.float64)).cumsum(axis=1)
    draw = rng.random(shape) * weights[:, -1:]
    return np.minimum((weights[:, None, :] <= draw[:, :, None]).sum(axis=2), tastes.shape[1] - 1)


def _of_family(
    pool: CandidatePool, family: np.ndarray, otherwise: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draw one item of each family; where it has none, take `otherwise`."""
    last = len(pool.family_start) - 2
    start = pool.family_start[np.minimum(family, last)]
    count = pool.family_start[np.minimum(family, last) + 1] - start
    place = start + (rng.random(family.shape) * count).astype(np.int64)
    found = pool.by_family[np.minimum(place, len(pool.items) - 1)]
    return np.where((count > 0) & (family <= last), found, otherwise)


def _clicked_before(
    clicked: np.ndarray, user: np.ndarray, otherwise: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draw one earlier click of the user per place; users without clicks get `otherwise`."""
    draw = rng.random(otherwise.shape)
    if len(clicked) == 0:
        return otherwise
    nothing = np.zeros(len(user), np.int64)
    start = np.searchsorted(clicked, pair_keys(user, nothing))[:, None]
    count = np.searchsorted(clicked, pair_keys(user + 1, nothing))[:, None] - start
    place = np.minimum(start + (draw * count).astype(np.int64), len(clicked) - 1)
    return np.where(count > 0, items_of(clicked[place]), otherwise)


def _first_distinct(
    drawn: np.ndarray, wanted: int, items: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Keep the first `wanted` distinct items of each row, filling up from `items` where too few."""
    order = np.argsort(drawn, axis=1, kind="stable")
    ranked = np.take_along_axis(drawn, order, axis=1)
    repeats = np.zeros(drawn.shape, bool)
    np.put_along_axis(repeats, order[:, 1:], ranked[:, 1:] == ranked[:, :-1], axis=1)
    # A stable sort of "is a repeat" brings each row's distinct items to the front, in order.
    front = np.argsort(repeats, axis=1, kind="stable")[:, :wanted]
    slate = np.take_along_axis(drawn, front, axis=1)
    short = np.nonzero((~repeats).sum(axis=1) < wanted)[0]
    for row in short:
        distinct = drawn[row][~repeats[row]]
        others = np.setdiff1d(items, distinct)
        slate[row, len(distinct) :] = rng.choice(others, wanted - len(distinct), replace=False)
    return slate
