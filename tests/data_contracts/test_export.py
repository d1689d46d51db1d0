import importlib
import json
from pathlib import Path
from typing import Any

import dataframely as dy
import polars as pl
import pyarrow as pa
import pytest

from data_contracts.export import (
    BODIES,
    TABLES,
    TableContract,
    WireContract,
    arrow_schema,
    body_schema,
    contracts_markdown,
    json_schema,
    rule_names,
    write_contracts,
)
from data_contracts.reading import with_columns

jsonschema = importlib.import_module("jsonschema")
PAGE = Path(__file__).parents[2] / "docs" / "contracts.md"


def accepts(schema: dict[str, Any], value: object) -> bool:
    return bool(jsonschema.Draft202012Validator(schema).is_valid(value))


def rows_of(table: TableContract) -> list[dict[str, Any]]:
    frame = table.schema.sample(20, generator=dy.random.Generator(7))
    return [json.loads(line) for line in frame.write_ndjson().splitlines()]


def test_the_page_in_docs_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == contracts_markdown(), (
        "write it again: python -c 'from data_contracts.export import contracts_markdown as page; "
        'open("docs/contracts.md", "w").write(page())\''
    )


@pytest.mark.parametrize("table", TABLES)
def test_the_arrow_schema_holds_types_nulls_and_words(table: TableContract) -> None:
    schema = arrow_schema(table)
    assert schema.names == table.schema.column_names()
    assert schema.metadata[b"version"] == str(table.version).encode()
    for name, column in table.schema.columns().items():
        field = schema.field(name)
        assert field.nullable == column.nullable
        assert field.metadata[b"description"].decode() == column.description
        unit = (column.metadata or {}).get("unit")
        assert field.metadata.get(b"unit") == (unit.encode() if unit else None)
    empty = pl.DataFrame(schema.empty_table())
    assert dict(empty.schema) == {n: c.dtype for n, c in table.schema.columns().items()}


@pytest.mark.parametrize("table", TABLES)
def test_json_schema_accepts_what_the_table_accepts(table: TableContract) -> None:
    schema = json_schema(table)
    jsonschema.Draft202012Validator.check_schema(schema)
    for row in rows_of(table):
        assert accepts(schema, row)
        bare = {name: value for name, value in row.items() if value is not None}
        assert accepts(schema, bare)


@pytest.mark.parametrize("table", TABLES)
def test_json_schema_refuses_what_the_table_refuses(table: TableContract) -> None:
    schema, row = json_schema(table), rows_of(table)[0]
    for name, column in table.schema.columns().items():
        assert not accepts(schema, {**row, name: {"no": "value"}})
        assert accepts(schema, {**row, name: None}) == column.nullable
        without = {key: value for key, value in row.items() if key != name}
        assert accepts(schema, without) == column.nullable
        if isinstance(column, dy.String) and column.min_length:
            assert not accepts(schema, {**row, name: ""})
        if isinstance(column, dy.Int32 | dy.Float64) and column.min is not None:
            assert not accepts(schema, {**row, name: column.min - 1})
            assert accepts(schema, {**row, name: column.min})


def test_columns_a_workspace_declares_are_exported_too() -> None:
    items = TABLES[0]
    extra = {
        "brand": dy.String(nullable=True, regex="^[A-Z]"),
        "sizes": dy.List(dy.Int32(nullable=False, min=1), nullable=False, min_length=1),
        "organic": dy.Bool(nullable=True),
        "grade": dy.Int32(nullable=True, is_in=[1, 2]),
    }
    wider = TableContract(items.name, with_columns(items.schema, extra), items.version)
    schema = json_schema(wider)
    row = {"item_id": "a", "title": "", "brand": "Acme", "sizes": [1], "grade": 2}
    assert accepts(schema, row)
    assert accepts(schema, {**row, "grade": None})
    faults: list[dict[str, Any]] = [
        {"brand": "acme"},
        {"sizes": []},
        {"sizes": [0]},
        {"organic": "yes"},
        {"grade": 3},
    ]
    for wrong in faults:
        assert not accepts(schema, {**row, **wrong})
    sizes = arrow_schema(wider).field("sizes").type
    assert sizes == pa.list_(pa.field("item", pa.int32(), nullable=False))


@pytest.mark.parametrize("body", BODIES)
def test_bodies_have_a_valid_schema(body: WireContract) -> None:
    schema = body_schema(body)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["x-version"] == 1


def test_the_request_schema_says_what_the_model_says() -> None:
    schema = body_schema(BODIES[0])
    assert accepts(schema, {"candidates": [{"item_id": "a"}], "top_k": 1})
    faults: list[dict[str, Any]] = [
        {},
        {"candidates": []},
        {"candidates": [{"item_id": ""}]},
        {"candidates": [{"item_id": "a"}], "colour": "red"},
        {"candidates": [{"item_id": "a"}], "top_k": 0},
    ]
    for wrong in faults:
        assert not accepts(schema, wrong)


def test_every_rule_over_several_rows_is_named_with_its_sentence() -> None:
    rules = {table.name: json_schema(table)["x-rules"] for table in TABLES}
    assert set(rules["impressions"]) == {
        "request_has_one_user_and_time",
        "positions_differ_within_a_request",
    }
    assert all(text.endswith(".") for text in rules["impressions"].values())
    names = rule_names(TABLES[1].schema)
    assert set(rules["impressions"]) < set(names)
    assert {"primary_key", "position|min", "request_id|nullability"} < set(names)


def test_contracts_are_written_beside_other_files(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    written = write_contracts(tmp_path)
    assert len(written) == 3 * len(TABLES) + len(BODIES) + 1
    assert {each.name for each in tmp_path.iterdir()} == {
        "mine.txt",
        *(each.name for each in written),
    }
    for table in TABLES:
        with pa.ipc.open_file(str(tmp_path / f"{table.name}.arrow")) as file:
            assert file.schema.equals(arrow_schema(table), check_metadata=True)
            assert file.num_record_batches == 0
        text = (tmp_path / f"{table.name}.schema.json").read_text(encoding="utf-8")
        assert json.loads(text) == json_schema(table)
        readable = (tmp_path / f"{table.name}.arrow.txt").read_text(encoding="utf-8")
        assert all(name in readable for name in table.schema.column_names())
    assert (tmp_path / "contracts.md").read_text(encoding="utf-8") == contracts_markdown()
    assert write_contracts(tmp_path) == written
