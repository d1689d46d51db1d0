from pathlib import Path

import pytest

from data_contracts.errors import RecsysError
from recsys.config import read_config
from recsys.encoder_bench import BackendResult, bench_table, fastest, write_backend
from recsys.workspace import Workspace

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
    "encoding",
    [
        "",
        "\n[encoding]\nthreads = 2\n",
        '\n[encoding] # where\nbackend = "onnx"\n',
        '\n[encoding]\nmax_loss = 0.1\nbackend = "torch" # so far\n\n[ranker]\nnum_leaves = 7\n',
    ],
)
def test_the_choice_is_written_and_nothing_else_changes(
    encoding: str, trained_workspace: Workspace, tmp_path: Path
) -> None:
    path = tmp_path / "recsys.toml"
    plain = (trained_workspace.root / "recsys.toml").read_text(encoding="utf-8")
    kept = plain.split("[encoding]")[0].split("[ranker]")[0] + "# a note\n"
    path.write_text(kept + encoding, encoding="utf-8")
    before = read_config(path)
    assert write_backend(Workspace.open(tmp_path), "onnx-int8") == path
    after = read_config(path)
    assert after.encoding.backend == "onnx-int8"
    assert after.model_copy(update={"encoding": before.encoding}) == before
    assert after.encoding.max_loss == before.encoding.max_loss
    assert "# a note" in path.read_text(encoding="utf-8")


def test_a_form_that_is_not_understood_is_left_alone(
    trained_workspace: Workspace, tmp_path: Path
) -> None:
    plain = (trained_workspace.root / "recsys.toml").read_text(encoding="utf-8")
    start = plain.split("[encoding]")[0].split("[", 1)
    path = tmp_path / "recsys.toml"
    path.write_text(f"encoding.threads = 1\n{start[0]}[{start[1]}", encoding="utf-8")
    content = path.read_bytes()
    with pytest.raises(RecsysError):
        write_backend(Workspace.open(tmp_path), "onnx")
    assert path.read_bytes() == content
