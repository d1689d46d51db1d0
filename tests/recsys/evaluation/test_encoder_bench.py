from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recsys.evaluation.encoder_bench import BackendResult, bench_table, fastest, write_backend
from recsys.workspace.config import CONFIG_NAME, read_config
from recsys.workspace.workspace import Workspace

START = datetime(2025, 1, 1, tzinfo=UTC)
PLAIN = f"""# a note
name = "tiny"
data_origin = "real"
slate_source = "sampled"

[split]
text_end = {START.isoformat()}
ranker_end = {(START + timedelta(1)).isoformat()}
validation_end = {(START + timedelta(2)).isoformat()}
"""
RESULTS = [
    BackendResult("torch", 100, 0.5, 0.6, 0.0),
    BackendResult("torch-bf16", reason="no units for it"),
    BackendResult("onnx", 120, 0.5, 0.6001, 0.0),
    BackendResult("onnx-int8", 300, 0.499, 0.597, 0.003),
]


def test_the_fastest_that_loses_little_enough_is_chosen() -> None:
    assert fastest(RESULTS, 0.002).backend == "onnx"
    assert fastest(RESULTS, 0.003).backend == "onnx-int8"
    assert fastest(RESULTS[:2], 0).backend == "torch"
    assert bench_table(RESULTS, 0.002).row_count == len(RESULTS)


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("", ""),
        ("encoding.threads = 1\n", ""),
        ("", "\n[encoding]\nthreads = 2\n"),
        ("", '\n[encoding]\n"threads" = 2\n"backend" = "torch"\n'),
        ("", '\n[encoding] # where\nbackend = "onnx"\n'),
        ("", '\n[encoding]\nbackend = "torch" # so far\n\n[ranker]\nnum_leaves = 7\n'),
    ],
)
def test_the_choice_is_written_and_nothing_else_changes(
    first: str, last: str, tmp_path: Path
) -> None:
    path = tmp_path / CONFIG_NAME
    path.write_text(first + PLAIN + last, encoding="utf-8")
    before = read_config(path)
    assert write_backend(Workspace.open(tmp_path), "onnx-int8") == path
    chosen = before.encoding.model_copy(update={"backend": "onnx-int8"})
    assert read_config(path) == before.model_copy(update={"encoding": chosen})
    assert "# a note" in path.read_text(encoding="utf-8")
