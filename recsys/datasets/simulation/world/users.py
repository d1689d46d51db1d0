"""Users of the simulated shop: tastes and activity, and their table."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys.datasets.simulation.words.vocabulary import vocabulary
from recsys.datasets.simulation.world.arrays import concatenate
from recsys.datasets.simulation.world.catalogue import (
    DAY_US,
    as_instants,
    day_start_us,
    identifiers,
)
from recsys.datasets.simulation.world.settings import (
    BEFORE_THE_LOG,
    SimulationSettings,
    arrivals_by_day,
)
from recsys.datasets.simulation.world.truth import TruthUsers

_OPENING_STREAM, _DAILY_STREAM = 3, 4
_FAVOURITE_BRANDS = 3


@dataclass(frozen=True)
class SimulatedUsers:
    """All users there ever are, in the order they come in; tastes are in log odds.

    Attributes:
        families: float32 [n_users, n_families].
        styles: float32 [n_users, n_styles].
        occasions: float32 [n_users, n_occasions].
        brands: int16 [n_users, 3], favourites, index into the vocabulary's brands.
        price_level: float32 [n_users], preferred log price against a family's usual one.
        price_sensitivity: float32 [n_users], log odds lost per unit of log price off it.
        novelty: float32 [n_users], log odds gained by items listed within a week.
        activity: float32 [n_users], relative frequency of visits.
        on_mobile: float32 [n_users], share of visits by telephone.
        joined_day: int32 [n_users], day of the log; -1 for before.
    """

    families: np.ndarray
    styles: np.ndarray
    occasions: np.ndarray
    brands: np.ndarray
    price_level: np.ndarray
    price_sensitivity: np.ndarray
    novelty: np.ndarray
    activity: np.ndarray
    on_mobile: np.ndarray
    joined_day: np.ndarray


def user_ids(index: np.ndarray) -> pl.Series:
    """Give the identifiers of users by index."""
    return identifiers("u", index).alias(TruthUsers.user_id.name)


def robot_ids(index: np.ndarray) -> pl.Series:
    """Give the identifiers of robots by index, unlike those of users."""
    return identifiers("b", index).alias(TruthUsers.user_id.name)


def make_users(settings: SimulationSettings) -> SimulatedUsers:
    """Make the users known at the opening and every day's new ones."""
    days = arrivals_by_day(settings.users, settings.new_users_per_day, settings.days)
    return concatenate([_batch(settings, count, day) for day, count in days])


def _batch(settings: SimulationSettings, count: int, day: int) -> SimulatedUsers:
    stream = (_OPENING_STREAM,) if day == BEFORE_THE_LOG else (_DAILY_STREAM, day)
    rng = np.random.default_rng((settings.seed, *stream))
    words = vocabulary()
    appeal = np.array([style.appeal for style in words.styles])
    styles = _tastes(rng, count, appeal, liked=2, by=(2.4, 3.4))
    styles -= _tastes(rng, count, 1 / appeal, liked=5, by=(0.6, 1.4), noise=0)
    even = np.ones(len(words.categories))
    categories = _tastes(rng, count, even, liked=2, by=(0.2, 0.5), noise=0.1)
    families = _tastes(rng, count, np.ones(len(words.families)), liked=4, by=(1.5, 2.5))
    occasions = np.ones(len(words.occasions))
    return SimulatedUsers(
        families=(families + categories[:, words.family_category]).astype(np.float32),
        styles=styles.astype(np.float32),
        occasions=_tastes(rng, count, occasions, liked=2, by=(1.0, 1.8)).astype(np.float32),
        brands=rng.integers(len(words.brands), size=(count, _FAVOURITE_BRANDS)).astype(np.int16),
        price_level=rng.normal(-0.05, 0.3, count).astype(np.float32),
        price_sensitivity=rng.gamma(4, 0.2, count).astype(np.float32),
        novelty=rng.normal(0.1, 0.3, count).astype(np.float32),
        activity=rng.lognormal(0, 1.1, count).astype(np.float32),
        on_mobile=rng.choice([0.05, 0.5, 0.95], size=count).astype(np.float32),
        joined_day=np.full(count, day, np.int32),
    )


def _tastes(
    rng: np.random.Generator,
    count: int,
    appeal: np.ndarray,
    *,
    liked: int,
    by: tuple[float, float],
    noise: float = 0.15,
) -> np.ndarray:
    """Draw tastes in log odds, float64 [count, k]: each user likes a few things `by` so much.

    `appeal`, float [k], is the relative chance of a thing to be liked; `noise` is the standard
    deviation of every taste.
    """
    # Gumbel top-k: draws without replacement in proportion to the appeal.
    keys = np.log(appeal) + rng.gumbel(size=(count, len(appeal)))
    favourites = np.argpartition(-keys, liked - 1, axis=1)[:, :liked]
    tastes = rng.normal(0, noise, (count, len(appeal)))
    boost = rng.uniform(*by, (count, liked))
    np.put_along_axis(
        tastes, favourites, np.take_along_axis(tastes, favourites, axis=1) + boost, axis=1
    )
    return tastes


def user_truth(users: SimulatedUsers, settings: SimulationSettings) -> pl.DataFrame:
    """Give the tastes, as `TruthUsers` says."""
    joined_us = day_start_us(settings, 0) + users.joined_day.astype(np.int64) * DAY_US
    joined_at = TruthUsers.joined_at
    frame = pl.DataFrame(
        {
            **vars(users),
            TruthUsers.user_id.name: user_ids(np.arange(len(users.activity))),
            joined_at.name: as_instants(joined_at.name, joined_us),
        }
    )
    since_log = pl.col("joined_day") != BEFORE_THE_LOG
    return TruthUsers.cast(frame.with_columns(pl.when(since_log).then(joined_at.col)))
