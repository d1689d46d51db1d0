from pathlib import Path

import pytest
from pydantic import ValidationError

from recsys.datasets.simulation.run import simulate
from recsys.datasets.simulation.world.settings import SimulationSettings
from recsys.datasets.simulation.world.sizing import parse_count, sized_settings


@pytest.mark.parametrize(
    ("text", "count"),
    [("250000", 250_000), ("10M", 10_000_000), ("2.5k", 2_500), (" 1 g ", 1_000_000_000)],
)
def test_counts_are_read(text: str, count: int) -> None:
    assert parse_count(text) == count


@pytest.mark.parametrize("text", ["", "M", "ten", "-5", "0", "0.1", "1e6", "5T"])
def test_what_is_no_count_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no count"):
        parse_count(text)


def test_the_size_of_the_quickstart_gives_its_shop() -> None:
    shop = SimulationSettings()
    events = shop.days * shop.requests_per_day * shop.slate_size * 1.11
    sized = sized_settings(round(events), {})
    assert sized.model_dump(exclude={"start"}) == pytest.approx(
        shop.model_dump(exclude={"start"}), rel=1e-6
    )
    assert sized.start == shop.start


@pytest.mark.parametrize(("events", "given"), [(30_000, {}), (60_000, {"days": 10, "late": 0.1})])
def test_the_log_has_about_the_wanted_events(
    tmp_path: Path, events: int, given: dict[str, object]
) -> None:
    settings = sized_settings(events, given)
    assert settings.model_dump().items() >= given.items()
    assert simulate(tmp_path / "shop", settings).events == pytest.approx(events, rel=0.1)


def test_eight_times_the_events_are_twice_the_days_and_four_times_the_users() -> None:
    small, large = sized_settings(1_000_000, {}), sized_settings(8_000_000, {})
    assert large.days == pytest.approx(2 * small.days, abs=1)
    assert large.users == pytest.approx(4 * small.users, abs=4)
    assert large.items == pytest.approx(8**0.5 * small.items, abs=2)
    assert large.requests_per_day == pytest.approx(4 * small.requests_per_day, rel=0.02)
    for settings in (small, large):
        newcomers = settings.days * settings.new_users_per_day / settings.users
        assert newcomers == pytest.approx(60 * 5 / 1700, rel=1e-6)


def test_what_is_given_is_checked() -> None:
    with pytest.raises(ValidationError, match="slate_size"):
        sized_settings(100_000, {"slate_size": 1})
    with pytest.raises(ValidationError, match="unknown"):
        sized_settings(100_000, {"unknown": 1})
