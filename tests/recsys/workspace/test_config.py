from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from data_contracts.errors import DataError
from features.defaults import default_features
from features.kinds.columns import Column
from features.kinds.item import AttributeCode, Price
from features.settings import OF_THE_DEFAULT_SET, FeatureSettings
from recsys.labels.split import SplitSettings
from recsys.workspace.config import (
    CONFIG_NAME,
    WorkspaceConfig,
    read_config,
    write_columns,
    write_config,
)
from recsys.workspace.feature_sets import features_of, row_features
from recsys.workspace.workspace import TABLES, Workspace

START = datetime(2025, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
CONFIG = WorkspaceConfig(
    name="tiny",
    data_origin="real",
    slate_source="sampled",
    attributes={"brand": "text", "weight": "number"},
    split=SplitSettings(
        text_end=START + DAY, ranker_end=START + 2 * DAY, validation_end=START + 3 * DAY
    ),
)


def write(path: Path, **changes: object) -> Path:
    content = CONFIG.model_dump(exclude_none=True) | changes
    path.write_text(tomlkit.dumps(content), encoding="utf-8")
    return path


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / CONFIG_NAME
    write_config(CONFIG, path)
    assert read_config(path) == CONFIG
    assert [each.name for each in tmp_path.iterdir()] == [CONFIG_NAME]


@pytest.mark.parametrize(("slates", "expected"), [("logged", True), ("sampled", False)])
def test_position_bias_follows_from_where_slates_come_from(
    tmp_path: Path, slates: str, expected: bool
) -> None:
    for ranker in ({}, {"num_leaves": 7}):
        path = write(tmp_path / CONFIG_NAME, slate_source=slates, ranker=ranker)
        assert read_config(path).ranker.position_bias is expected
    path = write(tmp_path / CONFIG_NAME, slate_source=slates, ranker={"position_bias": False})
    assert read_config(path).ranker.position_bias is False


def test_position_bias_on_sampled_slates_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / CONFIG_NAME, ranker={"position_bias": True})
    with pytest.raises(DataError, match="positions of sampled slates mean nothing"):
        read_config(path)
    path = write(tmp_path / CONFIG_NAME, slate_source="logged", ranker={"position_bias": True})
    assert read_config(path).ranker.position_bias is True


def test_declared_columns_are_read_again_as_they_were(tmp_path: Path) -> None:
    default = default_features(FeatureSettings(), ["click", "purchase"], logged=False)
    features = FeatureSettings(columns=(*default.features, AttributeCode("brand")))
    config = CONFIG.model_copy(update={"features": features})
    write_config(config, tmp_path / CONFIG_NAME)
    again = read_config(tmp_path / CONFIG_NAME)
    assert again == config
    assert features_of(again) == features_of(config)
    assert features_of(again).features == features.columns


@pytest.mark.parametrize("columns", [None, (AttributeCode("brand"), Price())])
@pytest.mark.parametrize(
    "text", ['a "quoted" name', "x\n[features]\ny = 1\n", "'''" + '"""\\', "\u00e9\t\x7f"]
)
def test_any_text_is_read_again(
    tmp_path: Path, text: str, columns: tuple[Column, ...] | None
) -> None:
    features = FeatureSettings(columns=columns, history=7)
    config = CONFIG.model_copy(update={"name": text, "note": text, "features": features})
    write_config(config, tmp_path / CONFIG_NAME)
    assert read_config(tmp_path / CONFIG_NAME) == config


HAND_WRITTEN = """\
# Our shop.
ranker.num_leaves = 7
name = "shop" # for short
data_origin = "real"
note = '''
[features]
'''
slate_source = "sampled"
attributes = {{ brand = "text" }}
format = 1

{features}
[split] # in UTC
text_end = 2025-01-02T00:00:00Z
ranker_end = 2025-01-03T00:00:00Z
validation_end = 2025-01-04T00:00:00Z
"""


@pytest.mark.parametrize(
    "features",
    [
        "",
        "[features]\nwindows_days = [3]\nhistory = 7 # enough\n# Last.\n",
        "[[features.columns]]\nkind = 'age'\n[[features.columns]]\nkind = 'price'\n",
        "[features] # all\ncolumns = [{ kind = 'age' }]\n# More.\nforget_days = 99\n",
        "features = { history = 8, timezone = 'Europe/London' }\n",
        "features.snapshot_days = 9\n",
    ],
)
def test_columns_are_chosen_in_a_file_that_otherwise_stays(tmp_path: Path, features: str) -> None:
    path = tmp_path / CONFIG_NAME
    path.write_text(HAND_WRITTEN.format(features=features), encoding="utf-8")
    before = read_config(path)
    columns = (AttributeCode("brand"), Price())
    write_columns(columns, path)
    others = before.features.model_dump(exclude={"columns", *OF_THE_DEFAULT_SET})
    expected = FeatureSettings(columns=columns, **others)
    assert read_config(path) == before.model_copy(update={"features": expected})
    written = path.read_text(encoding="utf-8")
    first, last = HAND_WRITTEN.format(features="\0").split("\0")
    assert written.startswith(first)
    assert last in written
    comments = [line for line in features.splitlines() if "# " in line]
    assert set(comments) <= set(written.splitlines())


def test_evaluation_has_its_columns_whatever_the_ranker_reads() -> None:
    features = FeatureSettings(columns=(AttributeCode("brand"),))
    config = CONFIG.model_copy(update={"features": features})
    assert features_of(config).names == ["item_brand_code"]
    assert row_features(config).names == [
        "item_brand_code",
        "item_click_30d",
        "user_item_purchase_ever",
        "item_days_since_first_purchase",
        "user_session_ever",
    ]
    # All of them are in the default set.
    assert row_features(CONFIG) == features_of(CONFIG)


def column(**parameters: object) -> dict[str, object]:
    return {"features": {"columns": [parameters]}}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"format": 2}, "format"),
        ({"name": ""}, "name"),
        ({"data_origin": "made up"}, "data_origin"),
        ({"unheard_of": 1}, "unheard_of"),
        ({"labels": {"attribution_window_hours": 0}}, "labels.attribution_window_hours"),
        ({"labels": {"grades": {"click": 9}}}, "label_gain"),
        ({"split": {"text_end": "soon"}}, "split.text_end"),
        ({"features": {"windows_days": [0]}}, "features.windows_days"),
        ({"features": {"attributes": ["colour"]}}, "colour"),
        ({"features": {"attributes": ["weight"]}}, "weight"),
        ({"features": {"attributes": ["brnad"]}}, "'brand' may be meant"),
        ({"features": {"attributes": ["brand", "brand"]}}, "'brand' stands there twice"),
        ({"features": {"given": ["bm25", "bm25"]}}, "'bm25' stands there twice"),
        ({"features": {"given": [""]}}, "features.given"),
        ({"text": {"template": ["title", "title"]}}, "'title' stands there twice"),
        ({"text": {"template": []}}, "text.template"),
        (column(kind="context_word", field="device", values=["a", "a"]), "'a' stands there twice"),
        ({"labels": {"grades": {}}}, "labels.grades"),
        ({"labels": {"grades": {"session": 1}}}, "'session' is a kind derived from the log"),
        ({"labels": {"grades": {"impression": 1}}}, "'impression' is a kind derived"),
        ({"labels": {"grades": {"attributed.click": 1}}}, "'attributed.click' is a kind derived"),
        ({"features": {"profile_kinds": ["session"]}}, "'session' is a kind derived"),
        ({"features": {"profile_kinds": ["click"]}}, "'click' has a grade"),
        ({"labels": {"grades": {"a\nb": 1}}}, "labels.grades"),
        ({"attributes": {"": "text"}}, "attributes"),
        ({"attributes": {"a\nb": "text"}}, "attributes"),
        ({"attributes": {"x" * 1000: "number"}}, "1000 bytes"),
        ({"attributes": {"price": "number"}}, "'price' is the name of a column of the items"),
        ({"attributes": {"item_id": "text"}}, "'item_id' is the name of a column"),
        ({"attributes": {"price_band": "text"}}, "'price_band' is the name of an attribute"),
        ({"attributes": {"item": "text"}}, "'item' is the name of the item itself"),
        ({"attributes": {"user": "text"}}, "'user' is the name of the user"),
        (
            {"attributes": {"versions_of_an_item_differ_in_time": "text"}},
            "'versions_of_an_item_differ_in_time' is the name of a rule",
        ),
        ({"attributes": {"reason": "text"}}, "'reason' is the name of what is told"),
        ({"attributes": {"user_item": "text"}}, "'user_item' makes two different"),
        ({"attributes": {"brand": "text", "user_brand": "text"}}, "'user_brand' makes two"),
        (column(kind="coutn"), "'count' may be meant"),
        (column(kind="recency", key=["item"], events="like"), "'like'"),
        (column(kind="recency", key=["colour"], events="click"), "'colour'"),
        (column(kind="attribute_code", attribute="weight"), "'weight'"),
        (column(kind="recency", key=["item"], events="impression"), "'impression'"),
        ({"text": {"template": ["title", "colour"]}}, "colour"),
        ({"ranker": {"num_leaves": "many"}}, "ranker.num_leaves"),
        ({"tables": {"baskets": "b.parquet"}}, "tables.baskets"),
    ],
)
def test_a_field_that_does_not_fit_is_named(
    tmp_path: Path, changes: dict[str, object], named: str
) -> None:
    with pytest.raises(DataError) as refusal:
        read_config(write(tmp_path / CONFIG_NAME, **changes))
    assert named in refusal.value.found
    assert "correct" in refusal.value.action


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe", b"[a]\n[a]\n"])
def test_what_is_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / CONFIG_NAME
    path.write_bytes(content)
    with pytest.raises(DataError, match="TOML in UTF-8"):
        read_config(path)


def test_a_folder_without_a_configuration_is_no_workspace(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="recsys import"):
        Workspace.open(tmp_path)


def test_tables_are_found_relative_absolute_and_by_url(tmp_path: Path) -> None:
    write(
        tmp_path / CONFIG_NAME,
        tables={
            "items": "here.parquet",
            "impressions": "/there.parquet",
            "interactions": "s3://x/y",
        },
    )
    workspace = Workspace.open(tmp_path)
    assert [workspace.location(table) for table in TABLES] == [
        str(tmp_path / "here.parquet"),
        "/there.parquet",
        "s3://x/y",
    ]


def test_declared_attributes_are_columns_of_items() -> None:
    columns = Workspace(Path(), CONFIG).contract("items").columns()
    assert {"brand", "weight", "item_id", "title"} <= columns.keys()
    assert columns["brand"].dtype != columns["weight"].dtype


ODD_NAMES = st.sampled_from(
    [
        *("age", "known", "click_7d", "request_id", "Brand", "brand", "brand name", "attr:brand"),
        *("user_item", "user_brand", "item_click", "days_since_click", "repeat_rate", "hour"),
        *(
            "\u0431\u0440\u0435\u043d\u0434",
            "km/h",
            "50%",
            "..",
            "[b]",
            "given_age",
            "text",
            "title",
        ),
    ]
)


def shop(attributes: dict[str, str], kinds: list[str], logged: bool) -> WorkspaceConfig:
    texts = [name for name, holds in attributes.items() if holds == "text"]
    return WorkspaceConfig.model_validate(
        {
            **CONFIG.model_dump(),
            "slate_source": "logged" if logged else "sampled",
            "attributes": attributes,
            "labels": {"grades": dict.fromkeys(kinds, 1)},
            "features": {"attributes": texts, "given": ["age", "hour"]},
        }
    )


@given(
    attributes=st.dictionaries(ODD_NAMES, st.sampled_from(["text", "number"]), max_size=5),
    kinds=st.lists(ODD_NAMES | st.just("click"), min_size=1, max_size=3, unique=True),
    logged=st.booleans(),
)
def test_names_that_are_taken_make_columns_and_counters_of_their_own(
    attributes: dict[str, str], kinds: list[str], logged: bool
) -> None:
    try:
        config = shop(attributes, kinds, logged)
    except ValidationError:
        return
    features = row_features(config)
    assert len(set(features.names)) == len(features.names)
    specs = {(*spec.key, spec.kind, spec.measure) for f in features.features for spec in f.needs()}
    assert len(features.counters) == len(specs)


@pytest.mark.parametrize("name", ["age", "known", "click_7d", "request_id", "repeat_rate", "hour"])
@pytest.mark.parametrize("holds", ["text", "number"])
def test_an_attribute_may_be_called_as_what_only_the_product_reads(name: str, holds: str) -> None:
    config = shop({name: holds}, ["click"], logged=True)
    assert len(set(row_features(config).names)) == len(row_features(config).names)
