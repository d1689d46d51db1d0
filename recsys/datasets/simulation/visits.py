"""Requests of one day: user, session, time, device and query of each."""

from dataclasses import dataclass

import numpy as np

from recsys.datasets.simulation.world.catalogue import DAY_US, day_start_us
from recsys.datasets.simulation.world.settings import SimulationSettings, arrivals
from recsys.datasets.simulation.world.users import SimulatedUsers

_GUEST_SHARE = 0.1
_QUERY_SHARE = 0.15
_UNIFORM_SHARE = 0.1
_GO_ON = 0.5
_MOST_REQUESTS = 8
_REQUESTS_PER_SESSION = (1 - _GO_ON**_MOST_REQUESTS) / (1 - _GO_ON)

# Monday first; the mean is 1.
WEEKDAYS = np.array([0.95, 0.9, 0.9, 0.95, 0.95, 1.1, 1.25])
# Weight of each hour (UTC): quiet nights, a lunch break, a long evening.
_HOURS = np.array(
    [2, 1, 1, 1, 1, 1, 2, 4, 5, 5, 6, 6, 8, 8, 6, 6, 6, 7, 8, 10, 12, 12, 8, 4], dtype=float
)
_WEEKEND_HOURS = np.array(
    [3, 2, 1, 1, 1, 1, 1, 2, 4, 7, 9, 9, 9, 9, 9, 9, 8, 8, 8, 9, 9, 8, 6, 4], dtype=float
)


@dataclass(frozen=True)
class Visits:
    """Requests of one day, oldest first; arrays are [n_requests].

    Attributes:
        number: int, number of the request within the day.
        user: int, who it is, also behind a guest.
        guest: bool, whether the shop knows the user.
        session: int, number of the visit within the day.
        time_us: int, microseconds since the epoch, within the day.
        mobile: bool, telephone or computer.
        query: int [n_requests, 3], family, style and occasion searched for, -1 for none of it;
            the family is -1 when nothing is searched for.
        query_draws: float [n_requests, 8], uniform, for the words of the query.
        uniform: bool, whether the slate is drawn and ordered uniformly.
        day: Day of the log, from 0.
        robots: Whether robots make all of these requests: `user` counts robots, not users.
    """

    number: np.ndarray
    user: np.ndarray
    guest: np.ndarray
    session: np.ndarray
    time_us: np.ndarray
    mobile: np.ndarray
    query: np.ndarray
    query_draws: np.ndarray
    uniform: np.ndarray
    day: int
    robots: bool = False

    def __len__(self) -> int:
        return len(self.user)


def make_visits(
    settings: SimulationSettings, users: SimulatedUsers, day: int, rng: np.random.Generator
) -> Visits:
    """Draw one day's visits: users new that day come at least once, others by their activity."""
    weekday = (settings.start.weekday() + day) % 7
    mean = settings.requests_per_day * WEEKDAYS[weekday] / _REQUESTS_PER_SESSION
    known = arrivals(settings.users, settings.new_users_per_day, day)
    fresh = np.arange(known, arrivals(settings.users, settings.new_users_per_day, day + 1))
    activity = np.cumsum(users.activity[:known], dtype=np.float64)
    returning = max(int(rng.poisson(mean)) - len(fresh), 0 if len(fresh) else 1)
    drawn = np.searchsorted(activity, rng.random(returning) * activity[-1], side="right")
    visitor = np.concatenate([fresh, drawn])
    guest = rng.random(len(visitor)) < _GUEST_SHARE
    guest[: len(fresh)] = False
    mobile = rng.random(len(visitor)) < users.on_mobile[visitor]
    session, time_us = _request_times(len(visitor), _HOURS if weekday < 5 else _WEEKEND_HOURS, rng)
    time_us += day_start_us(settings, day)
    query = _queries(users, visitor[session], rng)
    return Visits(
        number=np.arange(len(session)),
        user=visitor[session],
        guest=guest[session],
        session=session,
        time_us=time_us,
        mobile=mobile[session],
        query=query,
        query_draws=rng.random((len(session), 8)),
        uniform=(rng.random(len(session)) < _UNIFORM_SHARE) & (query[:, 0] < 0),
        day=day,
    )


def _request_times(
    sessions: int, hours: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Give each request's session and its microseconds since midnight, oldest first."""
    requests = np.minimum(rng.geometric(1 - _GO_ON, sessions), _MOST_REQUESTS)
    gaps_s = rng.lognormal(np.log(75), 0.7, (sessions, _MOST_REQUESTS)).clip(15, 900)
    gaps_s[:, 0] = 0
    after_s = gaps_s.cumsum(axis=1)
    length_s = after_s[np.arange(sessions), requests - 1]
    hour = rng.choice(24, size=sessions, p=hours / hours.sum())
    start_s = (hour + rng.random(sessions)) * 3600
    # A visit ends on the day it began on.
    start_s = np.minimum(start_s, DAY_US / 1e6 - 1 - length_s)
    shown = np.arange(_MOST_REQUESTS) < requests[:, None]
    session = np.nonzero(shown)[0]
    time_us = ((start_s[:, None] + after_s)[shown] * 1e6).astype(np.int64)
    order = np.lexsort((session, time_us))
    return session[order], time_us[order]


def _queries(users: SimulatedUsers, user: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Let some requests search for something the user likes; int [n_requests, 3]."""
    # The Gumbel trick: a draw in proportion to exp(2 x taste).
    liked = [
        np.argmax(2 * tastes[user] + rng.gumbel(size=(len(user), tastes.shape[1])), axis=1)
        for tastes in (users.families, users.styles, users.occasions)
    ]
    named = rng.random((len(user), 3)) < (_QUERY_SHARE, 0.5, 0.25)
    return np.where(named & named[:, :1], np.stack(liked, axis=1), -1)
