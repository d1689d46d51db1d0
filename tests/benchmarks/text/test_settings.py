import json

import pytest

from benchmarks.text.ranker_table import BEHAVIOUR
from benchmarks.text.settings import AS_THEY_ARE, changed, compare
from data_contracts.errors import UsageError
from recsys.workspace.workspace import Workspace


def test_settings_are_read_as_they_are_written() -> None:
    assert changed("mode=top_layers steps=40 across=0.5 grades_compete=false") == {
        "mode": "top_layers",
        "steps": 40,
        "across": 0.5,
        "grades_compete": False,
    }
    assert changed("") == {}


@pytest.mark.parametrize("asked", ["popularity=1", "steps"])
def test_what_is_no_setting_is_refused(asked: str) -> None:
    with pytest.raises(UsageError, match=r"name=value of \[text\]"):
        changed(asked)


def test_every_row_is_a_ranker_of_its_own(
    trained_workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    compare(trained_workspace, ["negative_popularity=1"], 1, refresh=True)
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    rows = told["table"]
    assert list(rows)[:1] == [BEHAVIOUR]
    assert {AS_THEY_ARE, "negative_popularity=1"} < set(rows)
    assert len(rows) == 6
    assert rows[BEHAVIOUR][2][0] == 0
    for all_rows, new, gain, _ in list(rows.values())[1:]:
        assert 0 < all_rows[0] < 1
        assert 0 < new[0] < 1
        assert gain[0] == pytest.approx(all_rows[0] - rows[BEHAVIOUR][0][0], abs=1e-9)
    assert told["over_as_they_are"][AS_THEY_ARE][2][0] == 0
    assert list(told["match_alone"]) == [AS_THEY_ARE, "negative_popularity=1"]
    assert {name: [cost["mode"] for cost in costs] for name, costs in told["costs"].items()} == {
        AS_THEY_ARE: ["head"],
        "negative_popularity=1": ["head"],
    }
    over = told["over_as_they_are"]["negative_popularity=1"][2][0]
    assert over == pytest.approx(
        rows["negative_popularity=1"][0][0] - rows[AS_THEY_ARE][0][0], abs=1e-9
    )
