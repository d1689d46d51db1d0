"""Export of the contracts: Arrow schema, JSON Schema, and a Markdown page."""

import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dataframely as dy
import polars as pl
import pyarrow as pa
from pydantic import BaseModel

from data_contracts.events import Impressions, Interactions
from data_contracts.items import Items
from data_contracts.names import LONGEST_ID
from data_contracts.served import ServedFeatures
from data_contracts.slates import WIRE_VERSION, RankRequest, RankResponse
from data_contracts.storage import atomic_file

_JSON_SCHEMA = "https://json-schema.org/draft/2020-12/schema"

# Limits of a dataframely column and the JSON Schema keyword that says the same of a value.
_LIMITS = {
    "min": "minimum",
    "min_exclusive": "exclusiveMinimum",
    "max": "maximum",
    "max_exclusive": "exclusiveMaximum",
    "min_length": "minLength",
    "max_length": "maxLength",
    "regex": "pattern",
    "pattern": "pattern",
    "is_in": "enum",
}
_LIST_LIMITS = {"min_length": "minItems", "max_length": "maxItems"}
_KEYWORDS = tuple(dict.fromkeys((*_LIMITS.values(), *_LIST_LIMITS.values(), "maxProperties")))


@dataclass(frozen=True)
class TableContract:
    """A table's contract with its name and version.

    Attributes:
        name: Name of the table, which is also that of its files.
        schema: Columns and rules.
        version: Raised when a column changes its meaning, its type, or goes.
    """

    name: str
    schema: type[dy.Schema]
    version: int


@dataclass(frozen=True)
class WireContract:
    """The contract of a JSON body.

    Attributes:
        name: Name of the body, which is also that of its file.
        model: Its fields.
        mode: `validation` for what is received, `serialization` for what is sent.
    """

    name: str
    model: type[BaseModel]
    mode: Any


TABLES = (
    TableContract("items", Items, 2),
    TableContract("impressions", Impressions, 2),
    TableContract("interactions", Interactions, 1),
    TableContract("served_features", ServedFeatures, 1),
)
BODIES = (
    WireContract("rank_request", RankRequest, "validation"),
    WireContract("rank_response", RankResponse, "serialization"),
)


def rule_names(schema: type[dy.Schema]) -> list[str]:
    """Give every rule of a table, `column|check` for a rule of one column."""
    _, nothing = schema.filter(schema.create_empty())
    columns = schema.column_names()
    return [name for name in nothing.details().columns if name not in columns]


def arrow_schema(table: TableContract) -> Any:
    """Give a table's `pyarrow.Schema`; descriptions, units and version are its metadata."""
    fields = []
    for name, column in table.schema.columns().items():
        metadata = {"description": column.description or "", **(column.metadata or {})}
        fields.append(_arrow_field(name, column).with_metadata(metadata))
    about = {
        "contract": table.name,
        "version": str(table.version),
        "description": inspect.getdoc(table.schema) or "",
        "primary_key": ",".join(table.schema.primary_key()),
    }
    return pa.schema(fields, about)


def json_schema(table: TableContract) -> dict[str, Any]:
    """Give the JSON Schema (draft 2020-12) of one row; times are RFC 3339 texts with a zone.

    Columns that may be null may also be absent. Rules over several rows have no JSON Schema: they
    are listed by name under `x-rules`.
    """
    columns = table.schema.columns()
    return {
        "$schema": _JSON_SCHEMA,
        "$id": f"urn:recsys:{table.name}:{table.version}",
        "title": table.name,
        "description": inspect.getdoc(table.schema),
        "type": "object",
        "properties": {name: _json_column(column) for name, column in columns.items()},
        "required": [name for name, column in columns.items() if not column.nullable],
        "x-version": table.version,
        "x-primary-key": table.schema.primary_key(),
        "x-rules": dict(_row_rules(table.schema)),
    }


def body_schema(body: WireContract) -> dict[str, Any]:
    """Give the JSON Schema (draft 2020-12) of a request or an answer."""
    return {
        "$schema": _JSON_SCHEMA,
        "$id": f"urn:recsys:{body.name}:{WIRE_VERSION}",
        **body.model.model_json_schema(mode=body.mode),
        "x-version": WIRE_VERSION,
    }


def contracts_markdown() -> str:
    """Give the page that documents every table and body."""
    lines = [
        "# Data contracts",
        "",
        "Made by `recsys contracts`, which also writes each table as an Arrow schema and as a JSON",
        "Schema of one row, and each body as a JSON Schema. Times are UTC microseconds.",
        "",
        f"Identifiers have 1 to {LONGEST_ID} characters in tables and in requests: not blank, and",
        "no control characters. A guest is null, never an empty text. A table may have several",
        "files, whose types may differ as far as the values stay the same; every file is checked.",
    ]
    for table in TABLES:
        lines += _table_markdown(table)
    for body in BODIES:
        schema = body_schema(body)
        lines += ["", f"## {body.name}", "", f"Version {WIRE_VERSION}. {schema['description']}"]
        lines += _fields_markdown(schema)
        for name, part in schema.get("$defs", {}).items():
            lines += ["", f"### {name}", "", part["description"], *_fields_markdown(part)]
    return "\n".join(lines) + "\n"


def write_contracts(folder: Path) -> list[Path]:
    """Write every contract into a folder; other files there stay.

    A table gives `<name>.arrow` (an Arrow IPC file without rows), `<name>.arrow.txt` (the same to
    read) and `<name>.schema.json`; a body gives `<name>.schema.json`; `contracts.md` is the page.

    Args:
        folder: Where to write; made when absent.

    Returns:
        The files written.
    """
    written = []
    for table in TABLES:
        schema = arrow_schema(table)
        path = folder / f"{table.name}.arrow"
        with atomic_file(path) as part, pa.OSFile(str(part), "wb") as sink:
            pa.ipc.new_file(sink, schema).close()
        readable = schema.to_string(truncate_metadata=False, show_field_metadata=True)
        written += [path, _write(folder / f"{table.name}.arrow.txt", readable + "\n")]
        written.append(_write(folder / f"{table.name}.schema.json", _dumps(json_schema(table))))
    for body in BODIES:
        written.append(_write(folder / f"{body.name}.schema.json", _dumps(body_schema(body))))
    return [*written, _write(folder / "contracts.md", contracts_markdown())]


def _write(path: Path, text: str) -> Path:
    with atomic_file(path) as part:
        part.write_text(text, encoding="utf-8")
    return path


def _dumps(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _row_rules(schema: type[dy.Schema]) -> Iterator[tuple[str, str]]:
    """Give the rules over several columns or rows, with the sentence that documents each."""
    for name in rule_names(schema):
        if name in vars(schema):
            yield name, inspect.getdoc(vars(schema)[name].validation_fn) or ""


def _arrow_type(column: dy.Column) -> Any:
    if isinstance(column, dy.List):
        return pa.list_(_arrow_field("item", column.inner))
    if isinstance(column, dy.Struct):
        return pa.struct([_arrow_field(name, part) for name, part in column.inner.items()])
    if isinstance(column, dy.String):
        return pa.string()
    return pl.Series([], dtype=column.dtype).to_arrow().type


def _arrow_field(name: str, column: dy.Column) -> Any:
    return pa.field(name, _arrow_type(column), column.nullable)


def _json_column(column: dy.Column) -> dict[str, Any]:
    schema = _json_type(column)
    if column.nullable:
        schema["type"] = [schema["type"], "null"]
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
    if column.description:
        schema["description"] = column.description
    for name, value in (column.metadata or {}).items():
        schema[f"x-{name}"] = value
    return schema


def _json_type(column: dy.Column) -> dict[str, Any]:
    dtype = column.dtype
    if isinstance(column, dy.List):
        return {
            "type": "array",
            "items": _json_column(column.inner),
            **_limits(column, _LIST_LIMITS),
        }
    if isinstance(column, dy.Struct):
        parts = column.inner
        return {
            "type": "object",
            "properties": {name: _json_column(part) for name, part in parts.items()},
            "required": [name for name, part in parts.items() if not part.nullable],
        }
    if isinstance(dtype, pl.Datetime):
        return {"type": "string", "format": "date-time"}
    if isinstance(dtype, pl.Boolean):
        return {"type": "boolean"}
    if dtype.is_numeric():
        kind = "integer" if dtype.is_integer() else "number"
        return {"type": kind, **_limits(column, _LIMITS)}
    return {"type": "string", **_limits(column, _LIMITS)}


def _limits(column: dy.Column, keywords: Mapping[str, str]) -> dict[str, Any]:
    found = [(keyword, getattr(column, name, None)) for name, keyword in keywords.items()]
    return {keyword: value for keyword, value in found if value is not None}


def _table_markdown(table: TableContract) -> list[str]:
    schema = json_schema(table)
    key = ", ".join(f"`{name}`" for name in table.schema.primary_key())
    lines = ["", f"## {table.name}", "", f"Version {table.version}. {schema['description']}"]
    lines += [f"No two rows share {key}."] if key else []
    lines += ["", "| column | type | may be null | limits | meaning |"]
    lines.append("|---|---|---|---|---|")
    for field in arrow_schema(table):
        column = schema["properties"][field.name]
        unit = f" Unit: {column['x-unit']}." if "x-unit" in column else ""
        null = "yes" if field.nullable else "no"
        limits = _limits_text(column)
        meaning = f"{column.get('description', '')}{unit}"
        lines.append(f"| `{field.name}` | {field.type} | {null} | {limits} | {meaning} |")
    if schema["x-rules"]:
        lines += ["", "Rules over several rows:", ""]
        lines += [f"- `{name}`: {text}" for name, text in schema["x-rules"].items()]
    return lines


def _fields_markdown(schema: Mapping[str, Any]) -> list[str]:
    lines = ["", "| field | type | required | limits | meaning |", "|---|---|---|---|---|"]
    for name, field in schema["properties"].items():
        required = "yes" if name in schema.get("required", ()) else "no"
        limits = _limits_text(field)
        meaning = field.get("description", "")
        lines.append(f"| `{name}` | {_type_text(field)} | {required} | {limits} | {meaning} |")
    return lines


def _limits_text(schema: Mapping[str, Any]) -> str:
    limits = []
    for part in (schema, *schema.get("anyOf", ())):
        for keyword in _KEYWORDS:
            if keyword == "enum" and keyword in part:
                limits.append("one of " + ", ".join(f"`{value}`" for value in part[keyword]))
            elif keyword in part:
                limits.append(f"{keyword} {part[keyword]}")
    return ", ".join(limits)


def _type_text(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"].rsplit("/", 1)[-1])
    if "anyOf" in schema:
        return " or ".join(_type_text(part) for part in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_type_text(schema['items'])}"
    if "additionalProperties" in schema and schema.get("type") == "object":
        return f"object of {_type_text(schema['additionalProperties'])}"
    return str(schema.get("format", schema.get("type")))
