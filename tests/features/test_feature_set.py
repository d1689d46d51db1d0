"""The default choice of features, and what a set promises."""

from dataclasses import replace

import pytest

from features.counter_spec import EVER, CounterSpec
from features.defaults import default_features
from features.feature_set import FeatureSet
from features.kinds.base import Feature
from features.kinds.context import LocalTime
from features.kinds.counts import Rate, Recency, WindowCount
from features.log.events import IMPRESSION
from features.settings import FeatureSettings

SHOP = ("click", "cart", "purchase")
LOGGED = default_features(FeatureSettings(), SHOP, logged=True)


@pytest.mark.parametrize("logged", [True, False])
@pytest.mark.parametrize("kinds", [SHOP, ("purchase",)])
@pytest.mark.parametrize("attributes", [(), ("category",), ("category", "brand")])
@pytest.mark.parametrize("windows", [(1, 7, 30, 90), (14,), (90, 45), (7, 7, 1)])
def test_names_are_unique_and_every_column_says_what_it_is(
    logged: bool, kinds: tuple[str, ...], attributes: tuple[str, ...], windows: tuple[int, ...]
) -> None:
    settings = FeatureSettings(attributes=attributes, windows_days=windows, given=("score",))
    chosen = default_features(settings, kinds, logged=logged)
    assert len(set(chosen.names)) == len(chosen.names)
    meanings = [feature.meaning for feature in chosen.features]
    assert all(len(meaning) > 20 for meaning in meanings)
    assert len(set(meanings)) == len(meanings)
    assert "given_score" in chosen.names


def test_there_are_about_forty_features_of_one_kind_and_attribute() -> None:
    assert 35 <= len(default_features(FeatureSettings(), ("purchase",), logged=False).names) <= 45
    assert 45 <= len(LOGGED.names) <= 60


def test_sampled_slates_are_not_counted() -> None:
    sampled = default_features(FeatureSettings(), SHOP, logged=False)
    assert IMPRESSION in {spec.kind for spec in LOGGED.counters}
    assert IMPRESSION not in {spec.kind for spec in sampled.counters}
    assert not any(IMPRESSION in name for name in sampled.names)
    assert sampled.rates == ()


def test_a_counter_has_every_window_that_a_feature_asks_of_it() -> None:
    windows = {spec.name: spec.windows for spec in LOGGED.counters}
    assert len(windows) == len(LOGGED.counters)
    for feature in LOGGED.features:
        for need in feature.needs():
            assert set(need.windows) <= set(windows[need.name])
    assert windows["item.click"] == (EVER, 1, 7, 30, 90)


def test_the_hash_tells_every_parameter_apart() -> None:
    base = FeatureSet(
        (WindowCount(("item",), "click", 7), Rate(("item",), "buy", "click", 7, 20.0))
    )
    count, rate = base.features
    assert isinstance(count, WindowCount)
    assert isinstance(rate, Rate)
    others = [
        FeatureSet((rate, count)),
        FeatureSet((count,)),
        FeatureSet((replace(count, days=8), rate)),
        FeatureSet((replace(count, key=("user",)), rate)),
        FeatureSet((replace(count, events="buy"), rate)),
        FeatureSet((count, replace(rate, smoothing=21.0))),
        FeatureSet((count, rate, Recency(("item",), "click"))),
        FeatureSet((count, rate, LocalTime("hour", "UTC"))),
        FeatureSet((count, rate, LocalTime("hour", "Asia/Tokyo"))),
    ]
    hashes = [features.schema_hash for features in (base, *others)]
    assert len(set(hashes)) == len(hashes)
    assert FeatureSet((count, rate)).schema_hash == base.schema_hash


@pytest.mark.parametrize(
    ("one", "other", "what"),
    [
        (
            WindowCount(("user", "item"), "click", EVER),
            WindowCount(("user_item",), "click", EVER),
            "columns user_item_click_ever",
        ),
        (
            WindowCount(("user", "item"), "click", EVER),
            WindowCount(("user_item",), "click", 30),
            "counters user_item.click",
        ),
        (LocalTime("hour", "UTC"), LocalTime("hour", "Asia/Tokyo"), "columns request_hour"),
    ],
)
def test_what_has_one_name_is_one_thing(one: Feature, other: Feature, what: str) -> None:
    with pytest.raises(ValueError, match=f"two different {what}"):
        FeatureSet((one, other))
    with pytest.raises(ValueError, match=f"two different {what}"):
        FeatureSet((one,)).with_more((other,))
    assert FeatureSet((one,)).with_more((one,)).features == (one,)


@pytest.mark.parametrize("name", ["km/h", "../up", "a b", "50%", "\u0431\u0440\u0435\u043d\u0434"])
def test_a_counter_of_any_name_has_a_file_of_its_own(name: str) -> None:
    names = {
        CounterSpec(("user", name), "click", (EVER,)).name,
        CounterSpec((name,), "click", (EVER,)).name,
        CounterSpec(("item",), name, (EVER,)).name,
        CounterSpec(("item",), "click", (EVER,)).name,
    }
    assert len(names) == 4
    assert not any("/" in each for each in names)
