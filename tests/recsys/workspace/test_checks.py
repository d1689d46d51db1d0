"""What parity reads and says."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data_contracts.errors import DataError
from features.checks.parity import ParityReport
from features.feature_set import FeatureSet
from features.kinds.counts import WindowCount
from recsys.workspace.checks import read_served, render_parity

ROW = '{"request_id": "r", "item_id": "i", "schema_hash": "h", "values": [1.5, null]}'


def test_json_lines_and_parquet_hold_the_same(tmp_path: Path) -> None:
    (tmp_path / "served.jsonl").write_text(f"{ROW}\n")
    lines = read_served(tmp_path / "served.jsonl")
    assert lines["values"].to_list() == [[1.5, None]]
    lines.write_parquet(tmp_path / "served.parquet")
    assert read_served(tmp_path / "served.parquet").equals(lines)


def test_a_folder_holds_the_lines_of_all_its_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="RECSYS_SERVED_FEATURES"):
        read_served(tmp_path)
    (tmp_path / "one.jsonl").write_text(f"{ROW}\n")
    (tmp_path / "two.jsonl").write_text(ROW.replace('"r"', '"r2"') + "\n")
    assert read_served(tmp_path)["request_id"].to_list() == ["r", "r2"]


@pytest.mark.parametrize("content", [f"{ROW}\n{ROW}\n", "no json", ROW.replace('"h"', "null")])
def test_what_does_not_keep_the_contract_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "served.jsonl").write_text(content)
    with pytest.raises(DataError):
        read_served(tmp_path / "served.jsonl")


def test_the_report_names_what_differs() -> None:
    feature = WindowCount(("item",), "click", 7)
    report = ParityReport.of(FeatureSet((feature,)))
    keys = pl.DataFrame({"request_id": ["r1", "r1"], "item_id": ["a", "b"]})
    wanted = pl.Series([2.0, 3.0], dtype=pl.Float32).to_numpy()[:, None]
    report.add(keys, wanted + np.array([[0], [1]], np.float32), wanted)
    lines = "\n".join(render_parity(report))
    assert "compared 2 rows of 1 requests, 1 features: 0 equal to the bit, 1 differ" in lines
    assert f"DIFFERS {feature.name}: 1 of 2 rows" in lines
    assert "request r1, item b: 4.0 against the backfill's 3.0" in lines
