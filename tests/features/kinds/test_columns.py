"""How tables of recsys.toml choose kinds of features."""

import tomllib
from typing import Any

import pytest
import tomlkit
from pydantic import ValidationError

from features.counter_spec import EVER
from features.defaults import choose_features, default_features
from features.feature_set import FeatureSet
from features.kinds.base import Feature, declaration
from features.kinds.columns import kinds, parameters
from features.kinds.counts import Trend, WindowCount
from features.kinds.item import Price
from features.kinds.slate import SlatePercentile
from features.log.events import attributed
from features.settings import FeatureSettings
from tests.features.worlds import FEATURES, KINDS

COUNT: dict[str, Any] = {"kind": "count", "key": ["item"], "events": "click", "days": 7}


def chosen(*tables: dict[str, Any]) -> FeatureSettings:
    """Read tables as they come out of a file."""
    text = tomlkit.dumps({"columns": list(tables)})
    return FeatureSettings.model_validate(tomllib.loads(text))


def refusal(*tables: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as refused:
        chosen(*tables)
    return str(refused.value)


@pytest.mark.parametrize("feature", FEATURES.features, ids=lambda feature: feature.name)
def test_a_declared_feature_is_read_again_as_it_was(feature: Feature) -> None:
    before = [f for f in FEATURES.features if f.name == feature.after]
    settings = chosen(*(declaration(each) for each in (*before, feature)))
    assert settings.columns == (*before, feature)
    assert FeatureSettings.model_validate(settings.model_dump()) == settings


def test_the_worlds_of_the_tests_have_every_kind() -> None:
    assert {type(feature) for feature in FEATURES.features} == set(kinds().values())


def test_every_feature_says_all_of_itself() -> None:
    for feature in FEATURES.features:
        told = feature.describe()
        assert all((told.meaning, told.unit, told.missing, told.window, told.dtype)), feature
        assert bool(told.sources) or told.window == "none"
        sources = {*told.sources, *map(attributed, told.sources)}
        assert sources >= {spec.kind for spec in feature.needs()}


def test_the_default_set_spelt_out_is_the_default_set() -> None:
    default = default_features(FeatureSettings(), KINDS, logged=True)
    spelt_out = FeatureSettings(columns=default.features)
    again = choose_features(spelt_out, KINDS, logged=True)
    assert again == default
    assert again.schema_hash == default.schema_hash
    assert choose_features(FeatureSettings(), KINDS, logged=True) == default


def test_settings_of_the_executors_are_not_in_the_schema() -> None:
    spelt_out = FeatureSettings(columns=(Price(),), history=3, neighbours=4, snapshot_days=5)
    assert choose_features(spelt_out, KINDS, logged=True).schema_hash == (
        FeatureSet((Price(),)).schema_hash
    )


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ({"kind": "coutn"}, ["'coutn'", "'count' may be meant", *kinds()]),
        ({"key": ["item"]}, ["None", *kinds()]),
        ({**COUNT, "dayz": 7}, ["'dayz'", "'days' may be meant", "key, events, days"]),
        ({"kind": "price", "days": 7}, ["'days'", "none"]),
        ({"kind": "count", "key": ["item"]}, ["events, days", "key, events, days"]),
        ({**COUNT, "days": -1}, ["columns.0", "greater than or equal to 0"]),
        ({**COUNT, "days": "week"}, ["columns.0", "days"]),
        ({**COUNT, "key": ["item", "user"]}, ["['item', 'user']", "or user and one"]),
        ({**COUNT, "key": []}, ["[]"]),
        ({"kind": "local_time", "part": "hour", "timezone": "Mars"}, ["'Mars'", "Europe/London"]),
        ({"kind": "trend", "key": ["item"], "events": "a", "days": 9, "against_days": 9}, ["less"]),
        ({"kind": "rate", **dict.fromkeys(parameters(kinds()["rate"]), 0)}, ["smoothing"]),
    ],
)
def test_what_does_not_fit_is_named_with_what_exists(
    table: dict[str, Any], named: list[str]
) -> None:
    said = refusal(table)
    assert all(word in said for word in named), said


def test_columns_must_fit_together() -> None:
    rank = {"kind": "slate_rank", "of": "item_price"}
    assert "which no column before it is" in refusal(rank, {"kind": "price"})
    assert "second column item_click_7d" in refusal(COUNT, COUNT)
    assert chosen({"kind": "price"}, rank).columns is not None
    with pytest.raises(ValidationError, match="windows_days shape the default set"):
        FeatureSettings(columns=(Price(),), windows_days=(3,))
    with pytest.raises(ValidationError, match="at least 1"):
        FeatureSettings(columns=())


def test_more_features_come_after_those_that_are_there() -> None:
    count = WindowCount(("item",), "click", 7)
    base = FeatureSet((Price(), SlatePercentile("item_price")))
    assert base.with_more((Price(), count)).features == (*base.features, count)


def test_a_set_knows_what_it_reads() -> None:
    features = FeatureSet(
        (Trend(("category",), "click", 7, 30), WindowCount(("user", "brand"), "buy", EVER))
    )
    assert features.attributes == ("category", "brand")
    assert FEATURES.given == ("score",)
    assert FEATURES.codes == (
        "context_device",
        "item_category_code",
        "item_price_band_code",
    )
    assert FEATURES.numbers == ("weight",)
    assert set(FEATURES.item_columns) == {"category", "price_band", "weight", "tags"}
