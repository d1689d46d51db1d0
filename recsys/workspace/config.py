"""`recsys.toml` as one typed tree; each part is declared with the thing it configures."""

import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self

import tomlkit
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from tomlkit.items import Array

from data_contracts.errors import DataError
from data_contracts.export import rule_names
from data_contracts.items import Items
from data_contracts.names import Name, meant
from data_contracts.reading import REASON
from data_contracts.storage import write_text
from features.counter_spec import ITEM, USER
from features.defaults import choose_features, features_with
from features.feature_set import FeatureSet
from features.kinds.base import declaration
from features.kinds.columns import AnyKind
from features.log.events import IMPRESSION, SESSION, event_kinds, is_derived
from features.log.item_columns import PRICE_BAND
from features.settings import OF_THE_DEFAULT_SET, FeatureSettings
from recsys.labels.grades import LabelSettings
from recsys.labels.split import Periods, SplitSettings, periods
from recsys.ranker.settings import RankerSettings
from recsys.text.encoder.settings import EncodingSettings
from recsys.text.settings import TextSettings

CONFIG_NAME = "recsys.toml"


@cache
def _taken() -> dict[str, str]:
    """Give the names that no attribute can have, and whose they are."""
    return {
        **dict.fromkeys(rule_names(Items), "a rule of the items"),
        **dict.fromkeys(Items.column_names(), "a column of the items that needs no declaration"),
        PRICE_BAND: "an attribute derived from the price",
        ITEM: "the item itself in a feature's key",
        USER: "the user in a feature's key",
        REASON: "what is told of rejected rows",
    }


class TableSettings(BaseModel):
    """Where the tables are: relative to the workspace, absolute, or any URL polars can scan."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    items: str = "items.parquet"
    impressions: str = "impressions.parquet"
    interactions: str = "interactions.parquet"


class WorkspaceConfig(BaseModel):
    """Everything `recsys.toml` says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = Field(1, description="Version of this file's format.")
    name: str = Field(min_length=1, description="Name of the data set, shown in every report.")
    data_origin: Literal["real", "simulated"] = Field(
        description="Whether people or a simulation made the events."
    )
    slate_source: Literal["logged", "sampled"] = Field(
        description="Whether slates were shown, or drawn afterwards around what was bought."
    )
    note: str = Field("", description="What every report must say about the data.")
    attributes: dict[Name, Literal["text", "number"]] = Field(
        default_factory=dict, description="Columns of items beyond the contract, and their type."
    )
    tables: TableSettings = TableSettings()
    labels: LabelSettings = LabelSettings()
    split: SplitSettings
    features: FeatureSettings = FeatureSettings()
    text: TextSettings = TextSettings()
    encoding: EncodingSettings = EncodingSettings()
    ranker: RankerSettings = Field(RankerSettings(), validate_default=True)

    @field_validator("ranker")
    @classmethod
    def _position_bias_follows_the_slates(
        cls, ranker: RankerSettings, info: ValidationInfo
    ) -> RankerSettings:
        logged = info.data.get("slate_source") == "logged"
        if ranker.position_bias and not logged:
            message = (
                "position_bias = true, but positions of sampled slates mean nothing: take it out"
            )
            raise ValueError(message)
        if ranker.position_bias is not None:
            return ranker
        return ranker.model_copy(update={"position_bias": logged})

    @model_validator(mode="after")
    def _names_are_free(self) -> Self:
        """Check that no attribute and no kind has the name of something else."""
        if taken := _taken().keys() & self.attributes.keys():
            name = min(taken)
            message = f"[attributes] {name!r} is the name of {_taken()[name]}: rename the column"
            raise ValueError(message)
        profile = self.features.profile_kinds
        if derived := sorted(filter(is_derived, (*profile, *self.labels.grades))):
            where = "[features] profile_kinds" if derived[0] in profile else "[labels] grades"
            message = f"{where} {derived[0]!r} is a kind derived from the log: rename it"
            raise ValueError(message)
        if graded := sorted(set(profile) & self.labels.grades.keys()):
            message = (
                f"[features] profile_kinds {graded[0]!r} has a grade, so that it is more than a "
                "part of profiles: take it out here, or under [labels] grades"
            )
            raise ValueError(message)
        event_kinds((*profile, *self.labels.kinds))
        return self

    @model_validator(mode="after")
    def _columns_do_not_meet(self) -> Self:
        """Check that no two columns that can be made of the attributes have one name."""
        kinds = self.labels.kinds
        made = FeatureSet(())
        for name, holds in self.attributes.items():
            try:
                more = features_with(name, kinds, is_text=holds == "text")
                made = made.with_more(more.features)
            except ValueError as error:
                message = f"[attributes] {name!r} makes {error}: rename the column"
                raise ValueError(message) from error
        choose_features(self.features, kinds, logged=self.slate_source == "logged")
        return self

    @model_validator(mode="after")
    def _attributes_are_declared(self) -> Self:
        texts = {name for name, kind in self.attributes.items() if kind == "text"}
        attributes = {Items.category.name, PRICE_BAND, *texts}
        _require_known("[features] attributes", self.features.attributes, attributes)
        self._require_known_to_columns(attributes)
        fields = {"title", "description", "category", "tags", *texts}
        _require_known("[text] template", self.text.template, fields)
        return self

    def _require_known_to_columns(self, texts: set[str]) -> None:
        """Check that declared columns read only what the tables have."""
        is_logged = self.slate_source == "logged"
        rated = {*self.labels.grades, *((IMPRESSION,) if is_logged else ())}
        events = {SESSION, *self.features.profile_kinds, *rated}
        numbers = {name for name, kind in self.attributes.items() if kind == "number"}
        for place, column in enumerate(self.features.columns or ()):
            where = f"[[features.columns]] {place} ({column.name})"
            rates = [kind for pair in column.rates() for kind in pair]
            kinds = rates or [spec.kind for spec in column.needs()]
            known = rated if rates else events
            _require_known(where, kinds, known, "declare others under [labels] grades")
            if rates and not is_logged:
                message = f"{where} counts what impressions led to, and slates are sampled"
                raise ValueError(f"{message}: take it out")
            _require_known(where, column.attributes(), texts)
            _require_known(where, column.numbers(), numbers, "declare others as numbers")

    @property
    def periods(self) -> Periods:
        """The four periods of the split, each after the first begun by a purge gap."""
        return periods(self.split, self.labels.attribution_window_hours)

    @property
    def executor(self) -> FeatureSettings:
        """Settings of the feature executors: they remember as much as the text model looks at."""
        history = max(self.features.history, self.text.history)
        return self.features.model_copy(update={"history": history})


def _require_known(
    where: str,
    names: Sequence[str],
    known: set[str],
    action: str = "declare others as text under [attributes]",
) -> None:
    if unknown := sorted(set(names) - known):
        near = meant(unknown[0], known)
        message = f"{where} names {unknown}{near}; known are {sorted(known)}: {action}"
        raise ValueError(message)


def read_config(path: Path) -> WorkspaceConfig:
    """Read and check a `recsys.toml`.

    Args:
        path: The file.

    Returns:
        What it says, with defaults for what it does not.

    Raises:
        DataError: The file is missing, is no TOML, or a field does not fit.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(
            f"no file {path}",
            f"a workspace: a folder with {CONFIG_NAME} and its tables",
            "make one with `recsys import` or `recsys simulate`",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {error}", "TOML in UTF-8", "correct the file there") from error
    try:
        return WorkspaceConfig.model_validate(content)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'file'}: {fault['msg']}"
            for fault in error.errors()
        )
        raise DataError(
            f"{path}: {faults}", "settings as docs/config.md lists them", "correct these fields"
        ) from error


def write_config(config: WorkspaceConfig, path: Path) -> None:
    """Write a configuration as TOML, whole or not at all; fields without a value are left out."""
    content = config.model_dump(mode="python", exclude_none=True)
    content["features"] = features_table(config.features)
    write_text(path, tomlkit.dumps(content))


def write_columns(columns: Sequence[AnyKind], path: Path) -> None:
    """Choose the columns of a `recsys.toml`, and drop what shapes the default set.

    Args:
        columns: The columns, in order.
        path: The file; its comments, its order and all other fields stay as they are.
    """
    document = tomlkit.parse(path.read_text(encoding="utf-8"))
    features: dict[str, Any] = document.setdefault("features", tomlkit.table())
    for name in ("columns", *OF_THE_DEFAULT_SET):
        features.pop(name, None)
    features["columns"] = _columns_array(columns)
    write_text(path, tomlkit.dumps(document))


def features_table(settings: FeatureSettings, *, defaults: bool = True) -> dict[str, Any]:
    """Give the part `[features]` of a `recsys.toml`, declared columns first.

    Args:
        settings: What it says.
        defaults: Whether fields that have their default value are in it.

    Returns:
        Values that tomlkit writes, by field.
    """
    if settings.columns is None:
        return settings.model_dump(exclude_none=True, exclude_defaults=not defaults)
    idle = {"columns", *OF_THE_DEFAULT_SET}
    others = settings.model_dump(exclude=idle, exclude_defaults=not defaults)
    return {"columns": _columns_array(settings.columns), **others}


def _columns_array(columns: Sequence[AnyKind]) -> Array:
    """One inline table a column, one column a line."""
    array = tomlkit.array()
    for column in columns:
        table = tomlkit.inline_table()
        table.update(declaration(column))
        array.append(table)
    return array.multiline(multiline=True)
