"""Settings of a shop whose log has a wanted number of events."""

import re
from collections.abc import Mapping

from recsys.datasets.simulation.world.settings import SimulationSettings

# Interactions per impression of the quickstart's shop; sizes change it little.
INTERACTIONS_PER_IMPRESSION = 0.11

_COUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([kKmMgG]?)")
_UNITS = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
_SHORTEST_DAYS, _LONGEST_DAYS = 14, 3650


def parse_count(text: str) -> int:
    """Read a count such as `250000`, `10M` or `2.5k`.

    Args:
        text: Digits, perhaps with a point, and perhaps one of the letters k, M, G.

    Returns:
        The count, at least 1.

    Raises:
        ValueError: It is no such text, or less than 1.
    """
    match = _COUNT.fullmatch(text.strip())
    count = round(float(match[1]) * _UNITS[match[2].lower()]) if match else 0
    if count < 1:
        message = f"{text!r} is no count; expected digits and perhaps k, M or G, such as 10M"
        raise ValueError(message)
    return count


def sized_settings(events: int, given: Mapping[str, object]) -> SimulationSettings:
    """Choose the settings of a shop whose log has about so many events.

    An event is a row of either log: an impression or an interaction. Against the quickstart's
    shop, `s` times the events mean `s^(1/3)` times the days, `s^(2/3)` times the requests a day and
    the users (so a user has as many requests a month, over a longer time), and `s^(1/2)` times the
    items. What is given stays; the requests per day make up for given days or slate sizes.

    Args:
        events: Wanted rows of both logs; the log has within some percent of it.
        given: Settings that are not to be chosen, by name.

    Returns:
        The settings.

    Raises:
        ValueError: A given setting is unknown or does not fit.
    """
    base = SimulationSettings.model_validate(
        {name: value for name, value in given.items() if name == "slate_size"}
    )
    per_request = base.slate_size * (1 + INTERACTIONS_PER_IMPRESSION)
    scale = events / (base.days * base.requests_per_day * per_request)
    days = round(base.days * scale ** (1 / 3))
    days = int(str(given.get("days", min(max(days, _SHORTEST_DAYS), _LONGEST_DAYS))))
    users = max(round(base.users * scale ** (2 / 3)), 1)
    items = max(round(base.items * scale**0.5), 4 * base.slate_size)
    longer = days / base.days
    chosen = {
        "days": days,
        "users": users,
        "new_users_per_day": base.new_users_per_day * users / base.users / longer,
        "items": items,
        "new_items_per_day": base.new_items_per_day * items / base.items / longer,
        "requests_per_day": max(events / (days * per_request), 1.0),
    }
    return SimulationSettings.model_validate({**chosen, **given})
